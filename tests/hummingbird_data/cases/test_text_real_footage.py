"""Overlaid text on real footage is found and told apart from text of the scene; nothing was set by this footage."""

from pathlib import Path

import pytest
from labeled_text import figures, labeled

SHARED = Path(__file__).resolve().parents[4] / "shared"


@pytest.fixture(scope="module")
def videos() -> Path:
    if SHARED.exists():
        assert (SHARED / "videos" / "sintel_10s.mp4").exists(), f"{SHARED} lies there without its videos"
    else:
        pytest.skip("the real footage (../shared/videos) does not lie beside the checkout")
    return SHARED / "videos"


def test_overlaid_text_of_two_scripts_and_text_of_the_scene_are_told_apart(
    videos: Path, tmp_path: Path
) -> None:
    chosen = ("none_2", "middle_2", "chinese_2", "moving_watermark_2", "bus_2", "keyboard_1_0")
    clips = [clip for clip in labeled(videos, "judging") if clip.name in chosen]
    assert len(clips) == len(chosen)
    found = figures(clips, tmp_path)
    assert (found.recall, found.precision) == (1.0, 1.0), found


@pytest.mark.slow
def test_recall_and_precision_of_overlaid_text_are_nine_tenths_or_more(videos: Path, tmp_path: Path) -> None:
    clips = labeled(videos, "judging")
    assert len(clips) >= 60
    found = figures(clips, tmp_path)
    print(found)
    assert found.recall >= 0.9, found
    assert found.precision >= 0.9, found
