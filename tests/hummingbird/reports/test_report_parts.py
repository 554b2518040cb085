"""The report's parts from a lake with real clips, and from what runs write."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hummingbird.config.settings import Settings
from hummingbird.lake.lake import Lake
from hummingbird.lake.media import store_media
from hummingbird.lake.runs import open_run
from hummingbird.lake.schemas import CLIPS, QUARANTINE
from hummingbird.models.architectures import unet_config
from hummingbird.pruning.pruning_plan import Narrow, load_plan, reductions_by_layer, whole_plan
from hummingbird.reports.from_lake import captions_part, curation_part, lineage_part
from hummingbird.reports.from_runs import curve_part, plan_part
from hummingbird.reports.plan_chart import plan_picture
from hummingbird.reports.review import _sample, write_review
from hummingbird.shapes.scene import render_clip, sample_scene


@pytest.fixture(scope="module")
def media(mp4_bytes: Any) -> bytes:
    encoded: bytes = mp4_bytes(render_clip(sample_scene(np.random.default_rng(0))))
    return encoded


def fill(settings: Settings, media: bytes, source: str = "/raw") -> Lake:
    """A lake with three kept clips, two dropped ones and one broken file."""
    lake = Lake.open(settings)
    path = store_media(settings.storage, media).media_path
    rows = []
    for index, reasons in enumerate(([], ["text", "static"], ["text"], [], [])):
        row = {
            "clip_id": f"clip{index}",
            "batch_id": "b",
            "source_uri": f"{source}/{'abc'[index % 3]}.mp4",
            "start_seconds": float(index),
            "end_seconds": float(index + 1),
            "media_path": path,
            "caption_original": "nice",
            "caption": f"caption {index}",
            "caption_model": "captioner",
            "motion_score": 0.1 * index,
            "verdict": "dropped" if reasons else "kept",
            "reasons": reasons,
        }
        rows.append({name: row.get(name) for name in CLIPS.names})
    broken = {"source_uri": f"{source}/x.mp4", "batch_id": "b", "stage": "read", "error": "no video"}
    clips = pa.Table.from_pylist(rows, schema=CLIPS)
    lake.commit_batch("b", clips, pa.Table.from_pylist([broken], schema=QUARANTINE))
    return lake


def test_curation_counts_and_shows_every_reason(settings: Settings, media: bytes) -> None:
    lake = fill(settings, media)
    part = curation_part(
        lake.read("clips"), lake.read("quarantine"), settings.storage, filters=[motion_filter("0.15")]
    )
    assert (part.kept, part.dropped, part.quarantined) == (3, 2, 1)
    assert part.reasons == {"text": 2, "static": 1}
    # The clip that shows a reason best has no other.
    assert part.examples["text"][0].tags == ("text",)
    assert [name for name, *_ in part.quarantine] == ["x.mp4"]
    assert len(part.distributions["motion"][0]) == 3
    assert all(len(strip.frames) == 5 for strip in part.kept_examples)


def motion_filter(threshold: str) -> dict[str, Any]:
    return {
        "reason": "static",
        "scores": {"motion_score": "motion"},
        "setting": "min_motion",
        "column": "motion_score",
        "drops": "below",
        "threshold": threshold,
    }


def test_captions_show_kept_clips_of_different_sources(settings: Settings, media: bytes) -> None:
    lake = fill(settings, media)
    part = captions_part(
        lake.read("clips"), settings.storage, (0.2, 0.9), {"clip0": (False, True)}, examples=2
    )
    assert part is not None
    assert [change.after for change in part.changes] == ["caption 0", "caption 4"]
    assert (part.changes[0].after_true, part.changes[1].after_true) == (True, None)
    assert (part.before, part.after, part.model) == (0.2, 0.9, "captioner")


def test_lineage_leads_from_the_model_to_its_clips(settings: Settings, media: bytes) -> None:
    lake = fill(settings, media)
    snapshot = lake.snapshot()
    lake.add_model({"model_id": "teacher-1", "kind": "teacher", "licence": "Apache-2.0"})
    with open_run(settings, "distill", snapshot_id=snapshot) as run:
        origin = {"parent_id": "teacher-1", "run_id": run.run_id, "snapshot_id": snapshot}
        lake.add_model({"model_id": "student-1", "kind": "distilled", **origin})
    nodes = lineage_part(lake, "student-1")
    assert [(node.kind, node.title, node.how) for node in nodes] == [
        ("model", "distilled", ""),
        ("model", "teacher", "distill"),
        ("data", "3 kept clips", "learned from"),
    ]


def test_a_review_shows_its_own_source_alone(settings: Settings, media: bytes) -> None:
    lake = fill(settings, media)
    with open_run(settings, "curate", inputs={"source": "/other"}, snapshot_id=lake.snapshot()) as run:
        run.metrics["kept"] = 0
    text = write_review(lake, settings.storage, run.result_path).read_text()
    assert "caption 0" not in text
    with open_run(settings, "curate", inputs={"source": "/raw"}, snapshot_id=lake.snapshot()) as run:
        run.metrics["kept"] = 3
    assert "caption 0" in write_review(lake, settings.storage, run.result_path).read_text()


def test_a_review_of_sources_without_a_common_folder_counts_all_of_them(
    settings: Settings, media: bytes
) -> None:
    lake = fill(settings, media)
    with open_run(settings, "curate", inputs={"source": "", "given": "list.csv"}) as run:
        run.snapshot_id = lake.snapshot()
        run.metrics["filters"] = [motion_filter("0.15"), {**motion_filter("inf"), "setting": "other"}]
    sources = {"/raw/a.mp4", "/raw/x.mp4"}
    text = write_review(lake, settings.storage, run.result_path, sources.__contains__).read_text()
    assert "list.csv" in text
    assert "caption 0" in text
    assert "caption 4" not in text, "a clip of another run's source is shown"
    assert text.count('class="threshold"') == 1
    assert "motion, threshold 0.15<" in text
    assert "no video" in text


def test_a_review_samples_what_is_too_much_to_show(
    settings: Settings, media: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = fill(settings, media)
    for name in ("_DRAWN", "_SHOWN"):
        monkeypatch.setattr(f"hummingbird.reports.review.{name}", 1)
    with open_run(settings, "curate", inputs={"source": "/raw"}, snapshot_id=lake.snapshot()) as run:
        pass
    text = write_review(lake, settings.storage, run.result_path).read_text()
    assert "kept <b>3</b>" in text
    assert "dropped <b>2</b>" in text
    assert "caption 0" in text
    assert "caption 4" not in text


def test_the_sample_of_a_review_is_the_same_in_any_order(
    settings: Settings, media: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_DRAWN", "_SHOWN"):
        monkeypatch.setattr(f"hummingbird.reports.review.{name}", 2)
    rows = fill(settings, media).read("clips").sort_by("clip_id").to_pylist()
    for order in (rows, rows[::-1]):
        sample, counts = _sample(iter(order), CLIPS)
        # Of five: the two smallest, the two smallest that were kept, and those that were dropped.
        assert sorted(sample["clip_id"].to_pylist()) == ["clip0", "clip1", "clip2", "clip3"]
        assert (counts["kept"], counts["dropped"], counts["text"]) == (3, 2, 2)


def test_the_plan_shows_what_the_pruner_keeps() -> None:
    teacher = unet_config((64, 96, 128), middle=True)
    plan = load_plan("hummingbird-0.7b", teacher)
    part = plan_part(teacher, {"down": plan.down, "up": plan.up}, plan.middle, (11, 6))
    kept = {(s.side, s.level): [block.kept for block in s.blocks] for s in part.stages}
    assert kept[("down", 0)] == [True, False]
    assert kept[("middle", 2)] == [False]
    # The first up stage is the deepest one; the paper keeps its last two blocks.
    assert kept[("up", 2)] == [False, True, True]
    assert all(sum(kept[("up", level)]) == 2 for level in (0, 1, 2))


def test_curves_come_from_the_log_and_leave_out_what_it_lacks(tmp_path: Path) -> None:
    log = tmp_path / "losses.jsonl"
    log.write_text("".join(json.dumps({"step": i, "output": 1 / i, "feature_0": 2.0}) + "\n" for i in (1, 2)))
    curve = curve_part("Distillation", log, ("output", "feature_0", "feature_9"))
    assert curve.series == {"output": ((1.0, 2.0), (1.0, 0.5)), "feature 0": ((1.0, 2.0), (2.0, 2.0))}
    with log.open("a") as file:
        file.write(json.dumps({"step": 3, "reward/shapes_image": 0.5}) + "\n")
    assert curve_part("Rewards", log, ("reward/*",)).series == {"shapes image": ((3.0,), (0.5,))}


def test_the_plan_shows_what_went_of_layers_that_stay() -> None:
    teacher = unet_config((64, 96, 128), head_size=32)
    plan = whole_plan(teacher).model_copy(
        update={"drop": ["up.1.2.temporal_conv"], "narrow": {"down.0.0": Narrow(heads=1, feed_forward=128)}}
    )
    part = plan_part(
        teacher,
        {"down": plan.down, "up": plan.up},
        True,
        (11, 6),
        reductions=reductions_by_layer(plan, teacher),
    )
    blocks = {(s.side, s.level, b.name): b.reductions for s in part.stages for b in s.blocks if b.reductions}
    assert blocks == {
        ("up", 1, "block 2"): ("no temporal conv",),
        ("down", 0, "block 0"): ("1 of 2 heads", "feed-forward 128 of 256"),
    }
    drawn = plan_picture(part)
    assert drawn.count("block partly") == 2
    assert "block 2: no temporal conv" in drawn
    assert "kept in part, width 64, 1 of 2 heads, feed-forward 128 of 256" in drawn
