"""VBench's own package, stood in for by a program that writes files in its form: names, reading, what is missing."""

import json
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hummingbird.core.errors import InputError
from hummingbird.evaluation.suites.base import EvaluationPrompt, FinishedVideo
from hummingbird.evaluation.suites.own_prompts import OwnPromptsSuite
from hummingbird.evaluation.suites.vbench.official import measure_officially, read_results, result_file
from hummingbird.evaluation.suites.vbench.suite import VBenchSuite

RED = EvaluationPrompt("0001", "a red bicycle", (1, 2), frozenset({"color", "imaging quality"}),
                       {"color": {"color": "red"}})  # fmt: skip
LONG = EvaluationPrompt("0002", "../x/🐦\n" + "very " * 60, (3,), frozenset({"imaging quality"}))
RUN = EvaluationPrompt("0003", "A person is running", (4,), frozenset({"human action", "imaging quality"}))

PACKAGE = """#!{python}
import json, sys
_, info, folder, *names = sys.argv[1:]
rows = json.load(open(info))
print("looking at", len(rows), "prompts")
for name in names:
    if name == "human_action":
        json.dump({{"error": "URLError: no weights"}}, open(folder + "/human_action_error.json", "w"))
        continue
    paths = [path for row in rows if name in row["dimension"] for path in row["video_list"]]
    if name == "color":
        paths = paths[:1]  # in the others it saw no bicycle
    scale = 100 if name == "imaging_quality" else 1
    found = [{{"video_path": path, "video_results": {value} * scale}} for path in paths]
    json.dump({{name: [0.5, found]}}, open(folder + "/" + name + "_eval_results.json", "w"))
"""


@pytest.fixture
def package(tmp_path: Path) -> Callable[..., Path]:
    """A python of the package's environment; ``value`` is what it gives every video."""

    def make(value: str = "0.75") -> Path:
        path = tmp_path / "python"
        path.write_text(PACKAGE.format(python=sys.executable, value=value))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    return make


@pytest.fixture
def videos(tmp_path: Path) -> list[FinishedVideo]:
    made = []
    for prompt, number in ((RED, 0), (RED, 1), (LONG, 0), (RUN, 0)):
        path = tmp_path / "made" / f"{prompt.id}-{number}.mp4"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"mp4")
        made.append(FinishedVideo(prompt, number, path))
    return made


def asked(videos: list[FinishedVideo]) -> list[frozenset[str]]:
    return [video.prompt.asks or frozenset() for video in videos]


def test_its_files_are_read_back_and_what_it_cannot_measure_is_missing(
    videos: list[FinishedVideo], package: Callable[..., Path], tmp_path: Path
) -> None:
    found = measure_officially(package(), videos, asked(videos), tmp_path / "files")
    assert [dict(values) for values in found.values] == [
        {"color": 0.75, "imaging quality": 0.75},
        {"imaging quality": 0.75},  # it found no bicycle: VBench leaves the video out
        {"imaging quality": 0.75},
        {"imaging quality": 0.75},
    ]
    assert found.missing == {
        "human action": "VBench's own package could not measure it: URLError: no weights"
    }
    # Names are the prompts, as the package reads actions from them, but where a prompt cannot be one.
    names = sorted(path.name for path in (tmp_path / "files/videos").iterdir())
    assert names == ["0002-0.mp4", "A person is running-0.mp4", "a red bicycle-0.mp4", "a red bicycle-1.mp4"]
    (info,) = (tmp_path / "files").glob("*/full_info.json")
    entries = json.loads(info.read_text(encoding="utf-8"))
    assert entries[0]["auxiliary_info"] == {"color": {"color": "red"}}
    assert entries[0]["dimension"] == ["color", "imaging_quality"]
    assert [Path(path).name for path in entries[0]["video_list"]] == names[2:]


def test_what_was_measured_is_not_measured_again(
    videos: list[FinishedVideo], package: Callable[..., Path], tmp_path: Path
) -> None:
    first = measure_officially(package(), videos, asked(videos), tmp_path / "files")
    again = measure_officially(package("0.1"), videos, asked(videos), tmp_path / "files")
    assert again.values == first.values
    other = measure_officially(package("0.1"), videos[1:], asked(videos)[1:], tmp_path / "files")
    assert other.values[0]["imaging quality"] == pytest.approx(0.1)


def test_an_environment_that_does_not_run_leaves_its_dimensions_missing(
    videos: list[FinishedVideo], tmp_path: Path
) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho no module named vbench >&2\nexit 3\n")
    python.chmod(0o755)
    found = measure_officially(python, videos, asked(videos), tmp_path / "files")
    assert not any(found.values)
    assert "ended with code 3 (no module named vbench)" in found.missing["color"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "no result of color in VBench's form"),
        ('{"hue": [0.5, []]}', "no result of color in VBench's form"),
        ('{"color": [0.5, [{"video_path": "a.mp4"}]]}', "no result of color in VBench's form"),
        ('{"color": [0.5, [{"video_path": "a.mp4", "video_results": NaN}]]}', "color of a.mp4 is nan"),
        ('{"color": [0.5, [{"video_path": "a.mp4", "video_results": null}]]}', "color of a.mp4 is None"),
    ],
)
def test_a_file_in_another_form_is_an_error(content: str, message: str, tmp_path: Path) -> None:
    result_file(tmp_path, "color").write_text(content)
    with pytest.raises(ValueError, match=message):
        read_results(result_file(tmp_path, "color"), "color")


def test_a_video_without_a_value_is_an_error_that_names_it(
    videos: list[FinishedVideo], package: Callable[..., Path], tmp_path: Path
) -> None:
    measure_officially(package(), videos, asked(videos), tmp_path / "files")
    (file,) = (tmp_path / "files").glob("*/imaging_quality_eval_results.json")
    content = json.loads(file.read_text())
    lost = content["imaging_quality"][1].pop()
    file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=f"has no value of {lost['video_path']}"):
        measure_officially(package(), videos, asked(videos), tmp_path / "files")


def test_settings_decide_what_the_package_measures(package: Callable[..., Path]) -> None:
    def suite(kind: type[VBenchSuite], **settings: Any) -> VBenchSuite:
        return kind(kind.Settings.model_validate(settings))

    python = package()
    assert len(suite(VBenchSuite, official=python).of_files) == 15
    assert suite(VBenchSuite, official=python).missing == {}
    some = suite(VBenchSuite, official=python, official_dimensions=("color", "temporal flickering"))
    assert some.of_files == {"color", "temporal flickering"}
    assert len(some.missing) == 14
    assert "human action" not in suite(OwnPromptsSuite, official=python).of_files
    with pytest.raises(InputError, match="no python at /nowhere: make vbench-env"):
        suite(VBenchSuite, official=Path("/nowhere")).check()
    with pytest.raises(InputError, match="VBench has no dimension 'hue'"):
        suite(VBenchSuite, official=python, official_dimensions=("hue",)).check()
