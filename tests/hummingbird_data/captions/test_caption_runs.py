"""Whole runs: endpoints that describe badly or answer nobody, models that are not whole, and no captioner at all."""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from captions import BAD, GOOD
from fake_endpoint import Endpoint, serving
from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.core.model_references import model_folder
from hummingbird.lake.lake import Lake
from hummingbird.reports.review import write_review
from hummingbird_data.curate import curate
from language_model import write_language_model
from safetensors.torch import load_file, save_file

FILES = 24
SAME = "A woman in a blue coat walks along a quiet street while leaves fall around her."


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory, write_video: Callable, shot: Callable) -> Path:
    folder = tmp_path_factory.mktemp("raw")
    for seed in range(FILES):
        write_video(folder / f"{seed:02d}.mp4", shot(100 + seed, seconds=2.1, fps=12, size=(64, 48)), 12)
    return folder


def settings_of(
    storage: Path, source: Path, models: dict[str, str] | None = None, **changes: Any
) -> Settings:
    lenient = {
        "min_weightless": 0.0,
        "max_zoom": 9.0,
        "max_text": 1.0,
        "copy_likeness": 1.0,
        "max_flicker": 1.0,
    }
    curating = {"source": source, "engine": "plain", "caption_retries": 0, **lenient, **changes}
    return Settings(storage=storage, models=models or {}, curate=curating)  # type: ignore[arg-type]


def run(storage: Path, source: Path, endpoint: Endpoint, **changes: Any) -> list[dict[str, Any]]:
    """The clips of a run with the endpoint's captions; none of its files is in quarantine."""
    http = {"url": endpoint.url, "backoff": 0.01, "retries": 1, "timeout": 10, "concurrency": 4}
    settings = settings_of(
        storage, source, {"captioner": "tiny"}, caption_engine="http",
        caption_endpoint={**http, **changes.pop("patience", {})}, **changes,
    )  # fmt: skip
    try:
        curate(settings)
    finally:
        assert Lake.open(settings).read("quarantine").num_rows == 0
    return Lake.open(settings).read("clips").to_pylist()


def answers(texts: list[str]) -> Callable:
    """Another of the texts each time."""
    waiting = iter(texts * FILES)
    return lambda *_: (200, next(waiting))


def test_answers_of_every_bad_kind_are_low_captions(ray_cluster: None, tmp_path: Path, source: Path) -> None:
    few = f"{source}/0[0-7]*"
    for kind, texts in BAD.items():
        with serving(Endpoint(answers(texts))) as endpoint:
            clips = run(tmp_path / kind, few, endpoint)
        assert [row["reasons"] for row in clips] == [["low_caption"]] * 8, kind
        assert all(row["caption_problem"] for row in clips)


def test_good_answers_are_kept(ray_cluster: None, tmp_path: Path, source: Path) -> None:
    with serving(Endpoint(answers(GOOD))) as endpoint:
        clips = run(tmp_path, source, endpoint)
    assert [row["verdict"] for row in clips] == ["kept"] * FILES


def test_one_sentence_for_all_clips_ends_the_run(ray_cluster: None, tmp_path: Path, source: Path) -> None:
    with (
        serving(Endpoint(lambda *_: (200, SAME))) as endpoint,
        pytest.raises(InputError, match=r"the same captions .*models\.captioner"),
    ):
        run(tmp_path, source, endpoint)
    clips = Lake.open(Settings(storage=tmp_path)).read("clips").to_pylist()
    assert sum(row["verdict"] == "kept" for row in clips) <= 2


@pytest.mark.parametrize(
    ("misbehave", "drip"),
    [(lambda *_: time.sleep(20), 0.0), (None, 0.05), (lambda *_: (500, "no memory"), 0.0)],
    ids=["hangs", "drips", "fails"],
)
@pytest.mark.parametrize("files", ["00*", "0[0-7]*"])
def test_an_endpoint_that_answers_nobody_ends_the_run_with_nothing_in_quarantine(
    ray_cluster: None, tmp_path: Path, source: Path, files: str, misbehave: Callable | None, drip: float
) -> None:
    with (
        serving(Endpoint(misbehave, drip=drip)) as endpoint,
        pytest.raises(InputError, match=r"is down \(it answers nobody"),
    ):
        run(tmp_path, f"{source}/{files}", endpoint, patience={"timeout": 0.5})
    assert Lake.open(Settings(storage=tmp_path)).read("clips").num_rows == 0


def test_models_that_are_not_whole_are_refused_before_anything_is_read(
    ray_cluster: None, tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hummingbird_data.curate._score", lambda *_: pytest.fail("a file was read"))
    for name in ("captioner", "quality", "rewriter"):
        folder = tmp_path / name
        if name == "rewriter":
            write_language_model(folder)
        else:
            shutil.copytree(model_folder(f"shapes-{name}"), folder)
        (path,) = folder.glob("*.safetensors")
        save_file({f"net.{key}": value for key, value in load_file(path).items()}, path, {"format": "pt"})
        models = {"captioner": "shapes-captioner", name: str(folder)}
        with pytest.raises(InputError, match=rf"{folder}.* finds no weights for \d+ of its tensors: \w+"):
            curate(settings_of(tmp_path / "runs", source, models))


def test_without_a_captioner_the_files_own_captions_stay(
    ray_cluster: None, tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "raw"
    folder.mkdir()
    for name in ("00", "01"):
        shutil.copy(source / f"{name}.mp4", folder)
    (folder / "00.txt").write_text("fireworks over a harbor")
    settings = settings_of(tmp_path / "runs", folder)
    result = curate(settings)
    assert "models.captioner names no captioner" in capsys.readouterr().out
    metrics = json.loads(result.read_text())["metrics"]
    assert (metrics["without_caption"], metrics["caption_engine"]) == (1, None)
    rows = Lake.open(settings).read("clips").sort_by("source_uri").to_pylist()
    assert [(row["caption"], row["caption_engine"], row["caption_model"]) for row in rows] == [
        ("fireworks over a harbor", "source", None),
        (None, "none", None),
    ]
    page = write_review(Lake.open(settings), settings.storage, result).read_text()
    assert "models.captioner names no captioner" in page
    assert "without a caption" in page
