import csv
from collections import Counter
from pathlib import Path

import av
import numpy as np
import pytest
from hummingbird.config.footage import FootageSettings
from hummingbird.core.errors import InputError
from hummingbird.shapes.footage import make_footage
from hummingbird.shapes.footage_plan import BROKEN, plan_footage
from hummingbird.shapes.judge import matches, observe
from hummingbird.shapes.scene import parse_caption
from hummingbird.shapes.truth import ALL_REASONS, TrueFile, read_truth
from numpy.typing import NDArray

SETTINGS = FootageSettings(
    seed=3, files=16, broken=0.32, sizes=((128, 128), (160, 128)), fps=(12, 15), shots=(2, 3), processes=2
)


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_footage(tmp_path_factory.mktemp("footage") / "raw", SETTINGS)


@pytest.fixture(scope="module")
def folder(truth: Path) -> Path:
    return truth.parent / "raw"


@pytest.fixture(scope="module")
def files(truth: Path) -> list[TrueFile]:
    return read_truth(truth)


def _frames(path: Path) -> NDArray[np.uint8]:
    with av.open(str(path), "r") as file:
        return np.stack([f.to_ndarray(format="rgb24") for f in file.decode(video=0)]).astype(np.uint8)


def test_the_truth_lies_outside_and_knows_every_file(
    folder: Path, truth: Path, files: list[TrueFile]
) -> None:
    assert folder not in truth.parents
    assert sorted(p.name for p in folder.iterdir()) == ["captions.csv", *(f.uri for f in files)]


def test_videos_have_the_recorded_format_and_their_cuts_where_the_truth_says(
    folder: Path, files: list[TrueFile]
) -> None:
    for file in files:
        if file.broken:
            continue
        frames = _frames(folder / file.uri)
        assert frames.shape[1:3] == (file.height, file.width)
        assert len(frames) == sum(s.frames for s in file.shots)
        for before, shot in zip(file.shots, file.shots[1:], strict=False):
            assert shot.start_frame == before.start_frame + before.frames
            assert shot.start_seconds == before.end_seconds
            change = np.abs(frames[shot.start_frame].astype(int) - frames[shot.start_frame - 1]).mean()
            assert change > 8


def test_every_kind_of_defect_and_of_broken_file_is_there(files: list[TrueFile]) -> None:
    assert {s.defect for f in files for s in f.shots} == {None, *ALL_REASONS}
    assert {f.broken for f in files} == {None, *BROKEN}


def test_broken_files_cannot_be_read_in_full(folder: Path, files: list[TrueFile]) -> None:
    for file in files:
        if file.broken:
            assert file.shots == ()
            with pytest.raises((av.FFmpegError, IndexError)):
                _frames(folder / file.uri)


def test_copies_share_a_group_with_an_earlier_sound_shot(folder: Path, files: list[TrueFile]) -> None:
    first: dict[int, str] = {}
    for file in files:
        if file.copy_of:
            assert (folder / file.uri).read_bytes() == (folder / file.copy_of).read_bytes()
        for shot in file.shots:
            if shot.group is None:
                assert shot.reason != "duplicate"
            elif shot.defect is None:
                assert first.setdefault(shot.group, file.uri) == file.uri
            else:
                assert shot.reason == "duplicate"
                assert first[shot.group] < file.uri


def test_captions_are_listed_as_the_truth_says(folder: Path, files: list[TrueFile]) -> None:
    with (folder / "captions.csv").open(newline="", encoding="utf-8") as source:
        listed = {row["uri"]: row["caption"] for row in csv.DictReader(source)}
    assert listed == {f.uri: f.caption for f in files if f.caption is not None}
    for file in files:
        stated = parse_caption(file.caption or "")
        true = [s.attributes for s in file.shots if s.defect in (None, "exact_copy")]
        assert (file.caption_kind == "right") == (stated is not None and stated in true)


def test_short_files_are_short_and_all_other_shots_are_long_enough(files: list[TrueFile]) -> None:
    for shot in (s for f in files for s in f.shots):
        seconds = shot.end_seconds - shot.start_seconds
        assert seconds < 1.0 if shot.defect == "too_short" else 2.0 < seconds < 3.8


def test_sound_shots_show_what_the_truth_says(folder: Path, files: list[TrueFile]) -> None:
    for file in files:
        if file.broken or file.copy_of:
            continue
        frames = _frames(folder / file.uri)
        for shot in (s for s in file.shots if s.defect is None):
            index = shot.start_frame + np.arange(16) * file.fps // 8
            assert shot.attributes is not None
            seen = matches(
                observe(frames[np.minimum(index, shot.start_frame + shot.frames - 1)]), shot.attributes
            )
            assert all(seen.values()), (file.uri, shot, seen)


def test_complete_footage_is_left_as_it_is(folder: Path, truth: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in [*folder.iterdir(), truth]}
    assert make_footage(folder, SETTINGS.model_copy(update={"processes": 1})) == truth
    assert {p: p.stat().st_mtime_ns for p in before} == before


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.pdf").touch()
    with pytest.raises(InputError, match=r"thesis\.pdf"):
        make_footage(tmp_path, SETTINGS)
    assert (tmp_path / "thesis.pdf").exists()


def test_another_seed_is_another_plan_and_the_same_is_the_same() -> None:
    assert plan_footage(SETTINGS) == plan_footage(SETTINGS)
    assert plan_footage(SETTINGS) != plan_footage(SETTINGS.model_copy(update={"seed": 4}))


def test_default_footage_is_more_than_half_sound_with_poor_captions() -> None:
    files = plan_footage(FootageSettings())
    whole = [f for f in files if f.broken is None and f.copy_of is None]
    shots = [s for f in whole for s in f.shots if not f.short]
    assert 0.5 < sum(s.defect is None for s in shots) / len(shots) < 0.7
    kinds = Counter(f.caption_kind for f in files)
    assert kinds["right"] < 0.25 * len(files)
    assert min(kinds[k] for k in ("missing", "vague", "wrong")) > 5


@pytest.mark.parametrize(
    "change", [{"defects": {"scratches": 0.1}}, {"files": 12, "copies": 0.5, "broken": 0.1, "short": 0.0}]
)
def test_settings_that_cannot_be_met_say_why(change: dict[str, object], tmp_path: Path) -> None:
    settings = FootageSettings.model_validate({**SETTINGS.model_dump(), **change})
    with pytest.raises(InputError, match=r"footage\."):
        make_footage(tmp_path, settings)


@pytest.mark.slow
def test_the_same_settings_give_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    make_footage(tmp_path / "again", SETTINGS)
    for path in folder.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()
