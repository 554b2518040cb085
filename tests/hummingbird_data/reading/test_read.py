"""A source becomes clips in the media store; a broken one, an error."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from hummingbird_data.reading.read import ReadStage, clip_id
from hummingbird_data.stage import StageRunner


def test_a_source_of_three_shots_becomes_three_clips_with_their_own_ids(
    tmp_path: Path, write_video: Callable, shot: Callable
) -> None:
    path = write_video(tmp_path / "a.mp4", np.concatenate([shot(1), shot(2, seconds=1.0), shot(3)]))
    row = {"source_uri": str(path), "storage": str(tmp_path / "store"), "caption_original": "a video"}
    made = StageRunner(ReadStage()).run([row])
    assert [(r["shot_index"], round(r["start_seconds"], 3), r["num_frames"]) for r in made] == [
        (0, 0.0, 60), (1, 2.5, 24), (2, 3.5, 60)
    ]  # fmt: skip
    assert all(
        r["caption_original"] == "a video" and (r["width"], r["height"], r["fps"]) == (160, 128, 24)
        for r in made
    )
    assert len({r["clip_id"] for r in made}) == len({r["content_hash"] for r in made}) == 3
    for r in made:
        assert (tmp_path / "store" / r["media_path"]).is_file()
        assert r["content_hash"] in r["media_path"]
    assert made[1]["clip_id"] == clip_id(str(path), 2.5, 3.5)
    again = StageRunner(ReadStage()).run([row])
    assert again == made


def test_a_broken_source_is_one_row_with_its_error_and_leaves_no_clip(
    tmp_path: Path, write_video: Callable, shot: Callable
) -> None:
    path = write_video(tmp_path / "a.mp4", shot(1))
    path.write_bytes(path.read_bytes()[:-3000])
    row = {"source_uri": str(path), "storage": str(tmp_path / "store")}
    (made,) = StageRunner(ReadStage()).run([row])
    assert made["error_stage"] == "decode"
    assert made["clip_id"] is None
    assert not (tmp_path / "store").exists()
