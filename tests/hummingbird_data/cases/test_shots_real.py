"""Real footage: every cut that is seen in the pictures, and none else."""

from pathlib import Path

import pytest
from hummingbird_data.reading.shot_benchmark import run
from hummingbird_data.reading.shots import ShotSettings

VIDEOS = Path(__file__).parents[4] / "shared" / "videos"
TRUTH = Path(__file__).with_name("real_cuts.json")


def test_every_cut_of_the_real_videos_is_found_and_none_else() -> None:
    if not VIDEOS.parent.exists():
        pytest.skip("no footage in ../shared/videos")
    counts = run(VIDEOS, TRUTH, ShotSettings())
    cuts = counts["cuts"]
    assert (cuts["right"], cuts["missed"], cuts["false"]) == (7, 0, 0)
    for kind in ("dissolve", "wipe"):
        n = counts[kind]
        assert n["right"] >= 0.8 * (n["right"] + n["missed"]) > 0
