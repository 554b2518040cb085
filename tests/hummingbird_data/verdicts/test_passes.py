"""What a pass of curation does again and what it leaves alone; reading, scoring and captions are stood in for."""

import base64
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hummingbird.config.settings import Settings
from hummingbird.core.shared_folder import SharedFolder
from hummingbird.lake.lake import Lake
from hummingbird_data import curate as module
from hummingbird_data.copies import duplicate_index
from hummingbird_data.copies.embedding import SIZE
from hummingbird_data.curate import curate
from hummingbird_data.curation_plan import CurationPlan
from hummingbird_data.stage import Row
from hummingbird_data.verdicts import judging

Rows = Callable[[], dict[str, list]]


class World:
    """Sources are text files: ``picture motion`` is a video of that picture, anything else is broken."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.scored: list[str] = []
        self.captioned: list[str] = []
        folder.mkdir()

    def write(self, **files: str) -> None:
        for name, text in files.items():
            (self.folder / f"{name}.mp4").write_text(text)

    def score(self, batch: Sequence[Any], plan: CurationPlan, *_: object) -> dict[str, list[Row]]:
        self.scored += [Path(source.uri).stem for source in batch]
        rows = {source.uri: [self._row(source.uri)] for source in batch}
        for [row] in rows.values():
            if "media_path" in row:
                (plan.storage / row["media_path"]).touch()
        return rows

    def caption(self, rows: Sequence[Row], *_: object) -> dict[str, Row]:
        self.captioned += [Path(row["source_uri"]).stem for row in rows]
        return {
            row["clip_id"]: {"error": "no answer", "error_stage": "captions"}
            if "mute" in row["source_uri"]
            else {
                "caption": f"a red circle beside {row['media_path']}",
                "caption_model": "m",
                "caption_problem": "empty" if "poor" in row["media_path"] else None,
            }
            for row in rows
        }  # fmt: skip

    def _row(self, uri: str) -> Row:
        text = Path(uri).read_text().split()
        if len(text) != 2:
            return {"source_uri": uri, "error": "broken", "error_stage": "decode"}
        vector = (
            np.random.default_rng(sum(map(ord, text[0]))).normal(0, 20, SIZE).clip(-127, 127).astype(np.int8)
        )
        return {
            "clip_id": uri, "source_uri": uri, "start_seconds": 0.0, "end_seconds": 3.0, "fps": 24.0, "shot_index": 0,
            "media_path": text[0], "content_hash": text[0], "perceptual_hash": "00" * 96,
            "embedding": base64.b64encode(vector.tobytes()).decode(), "caption_original": None,
            "technical_by": "weightless", "quality_weightless": 0.9, "quality_technical": None,
            "motion_score": float(text[1]), "freeze_score": 0.0, "zoom_score": 0.0, "flicker_score": 0.0,
            "text_share": 0.0,
        }  # fmt: skip


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path / "raw")
    monkeypatch.setattr(module, "connect", lambda settings: None)
    monkeypatch.setattr(SharedFolder, "check_nodes", lambda folder: None)
    monkeypatch.setattr(module, "_cores", lambda plan: 1)
    monkeypatch.setattr(module, "_score", made.score)
    monkeypatch.setattr(judging, "write_captions", made.caption)
    monkeypatch.setattr(duplicate_index, "clip_frames", lambda row: 1 / 0)  # no pictures are needed here
    return made


@pytest.fixture
def run(tmp_path: Path, world: World, captioner: Path) -> Callable[..., dict[str, list[str]]]:
    def go(**changes: Any) -> dict[str, list[str]]:
        """Curates, and returns the reasons by name of source: none for a kept clip, quarantine as such."""
        world.scored.clear()
        world.captioned.clear()
        curating = {
            "source": world.folder,
            "technical": "weightless",
            "batch_files": 2,
            "index_actors": 0,
            **changes,
        }
        settings = Settings(storage=tmp_path / "runs", models={"captioner": str(captioner)}, curate=curating)  # type: ignore[arg-type]
        curate(settings)
        lake = Lake.open(settings)
        found = {Path(r["source_uri"]).stem: r["reasons"] for r in lake.read("clips").to_pylist()}
        return found | {
            Path(r["source_uri"]).stem: ["quarantine"] for r in lake.read("quarantine").to_pylist()
        }

    return go


def test_a_new_file_that_copies_a_committed_clip_is_the_copy_whatever_its_name(
    world: World, run: Callable
) -> None:
    world.write(**{f"m{number}": f"picture{number} 0.1" for number in range(6)})
    assert set(map(tuple, run().values())) == {()}
    world.write(a="picture5 0.1", z="picture0 0.1")
    after = run()
    assert (after["a"], after["z"], after["m0"], after["m5"]) == (["duplicate"], ["duplicate"], [], [])
    assert set(world.scored) == {"a", "z"}, "only what is new is read"


@pytest.mark.parametrize("files", [1, 100])
def test_a_clip_that_its_caption_drops_takes_no_copy_with_it(world: World, run: Callable, files: int) -> None:
    """In whatever batch the copy is."""
    world.write(**{f"{name}{n}": f"poor{n} 0.1" for name in "abc" for n in range(3)})
    world.write(mute="picture 0.1", n="picture 0.1", o="picture 0.1")
    found = run(batch_files=files)
    assert found.pop("mute") == ["quarantine"]
    assert (found.pop("n"), found.pop("o")) == ([], ["duplicate"])
    assert set(map(tuple, found.values())) == {("low_caption",)}
    assert len(found) == 9
    captioned = world.captioned.copy()
    assert sorted(captioned) == sorted({*found, "mute", "n"}), "each is asked about once"
    # Judged again from the table it comes out the same: nothing but what failed is asked about again.
    run(batch_files=files, max_zoom=0.5)
    assert run(batch_files=files, max_zoom=0.6) == {
        **found,
        "mute": ["quarantine"],
        "n": [],
        "o": ["duplicate"],
    }
    assert set(world.captioned) == {"mute"}


def test_thresholds_by_percentile_caption_only_what_they_keep(world: World, run: Callable) -> None:
    world.write(**{f"v{n}": f"picture{n} {n / 10}" for n in range(1, 9)}, broken="nothing")
    found = run(min_motion="50%")
    dropped = {name for name, reasons in found.items() if reasons == ["static"]}
    assert dropped == {"v1", "v2", "v3"}
    assert found["broken"] == ["quarantine"]
    assert sorted(world.captioned) == ["v4", "v5", "v6", "v7", "v8"]
    assert sorted(world.scored) == sorted([*(f"v{n}" for n in range(1, 9)), "broken"])
    assert run(min_motion="50%") == found
    assert (world.scored, world.captioned) == ([], [])
    assert sum(reasons == ["static"] for reasons in run(min_motion="80%").values()) == 5
    assert (world.scored, world.captioned) == ([], []), "a file that is broken is not read again either"


def test_an_interrupted_percentile_run_leaves_no_clip_kept_without_a_judgment(
    world: World, run: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.write(**{f"v{n}": f"picture{n} {n / 10}" for n in range(1, 9)})
    with monkeypatch.context() as patch:
        patch.setattr(module, "_judge_all", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run(min_motion="50%")
    rows = Lake.open(Settings(storage=tmp_path / "runs")).read("clips").to_pylist()
    assert [(row["verdict"], row["reasons"]) for row in rows] == [("dropped", ["unjudged"])] * 8
    assert sum(reasons == [] for reasons in run(min_motion="50%").values()) == 5
    assert world.scored == []


def test_of_several_clips_that_failed_the_first_in_time_is_told() -> None:
    """In whatever order they come in, or another run would end with other rows."""
    rows = [
        {"source_uri": "a", "start_seconds": at, "error": f"at {at}", "error_stage": "text"}
        for at in (4.0, 0.0, 2.0)
    ]
    clips, failures = module._whole({"a": [*rows, {"source_uri": "a", "start_seconds": 1.0}]})
    assert clips == []
    assert failures["a"]["error"] == "at 0.0"
