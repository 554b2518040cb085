"""Overlaid text is found while it is there, and text of the scene, textures and shapes are not taken for it."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hummingbird.config.curate import CurateSettings
from hummingbird_data.filters.text import TextStage, samples, text_share
from hummingbird_data.filters.text_detector import TextLine, boxes

LIMIT = CurateSettings().max_text
SIDES = TextStage().sides


def share(frames: np.ndarray) -> float:
    return text_share(frames, 24.0, SIDES, TextStage().probability)


def with_text(frames: np.ndarray, words: str, place: Callable[[int], tuple[int, int] | None]) -> np.ndarray:
    """``words`` drawn where ``place`` puts them in each picture; None: nowhere."""
    made = frames.copy()
    for index, frame in enumerate(made):
        at = place(index)
        if at is not None:
            cv2.putText(frame, words, at, cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 255, 255), 1)
    return made


@pytest.fixture(scope="module")
def pan() -> np.ndarray:
    """A camera that pans over blobs of all sizes, 2.5 s at 24 a second."""
    rng = np.random.default_rng(3)
    picture = np.full((240, 640, 3), 100, np.uint8)
    for _ in range(400):
        x, y, size = int(rng.integers(640)), int(rng.integers(240)), int(np.clip(6 / rng.random(), 6, 60))
        cv2.circle(picture, (x, y), size, rng.integers(30, 200, 3).tolist(), -1)
    return np.stack([picture[:, 3 * i : 3 * i + 426] for i in range(60)])


@pytest.mark.parametrize("size", [(160, 128), (144, 256)])
def test_overlaid_text_is_found_and_sound_clips_have_none(shot: Callable, size: tuple[int, int]) -> None:
    for seed in range(4):
        frames = shot(seed, size=size)
        assert share(frames) <= LIMIT, seed
        assert share(with_text(frames, "SAMPLE 24", lambda _: (10, 100))) > LIMIT, seed


@pytest.mark.parametrize(("first", "stop"), [(0, 60), (8, 50), (36, 60), (0, 20)])
def test_text_counts_by_the_time_that_it_is_there(pan: np.ndarray, first: int, stop: int) -> None:
    words = "WE HAVE TO LEAVE BEFORE DAWN"
    shown = share(with_text(pan, words, lambda i: (40, 210) if first <= i < stop else None))
    whole = share(with_text(pan, words, lambda _: (40, 210)))
    assert shown > LIMIT
    assert shown / whole == pytest.approx((stop - first) / 60, abs=0.25)


def test_two_lines_after_each_other_count_both(pan: np.ndarray) -> None:
    made = with_text(pan, "THE MAN TOLD US LATE", lambda i: (60, 210) if i < 27 else None)
    made = with_text(made, "ALL OTHERS REMAINED", lambda i: (60, 210) if i > 33 else None)
    assert share(made) > LIMIT


def test_text_that_moves_by_itself_is_an_overlay_and_text_that_moves_with_the_scene_is_not(
    pan: np.ndarray,
) -> None:
    assert share(pan) <= LIMIT
    words = "HARBOUR TOURS DAILY"
    assert share(with_text(pan, words, lambda i: (150 + i, 80 + i))) > LIMIT
    assert share(with_text(pan, words, lambda i: (180 - 3 * i, 120))) <= LIMIT


def test_samples_lie_inside_the_clip_and_are_bounded() -> None:
    assert samples(60, 24.0) == [6, 18, 30, 42, 54]
    assert samples(1, 24.0) == [0]
    assert len(samples(2400, 24.0)) == 10


def test_only_flat_blobs_count_as_lines() -> None:
    seen = np.zeros((100, 200), np.float32)
    seen[10:20, 10:90] = 0.9  # a line
    seen[40:80, 20:60] = 0.9  # compact: an object
    seen[50:90, 80:190] = 0.9  # too tall for a line
    assert [(line.x, line.y, line.width, line.height) for line in boxes(seen, 0.4)] == [(10, 10, 80, 10)]


def test_upright_lines_count_and_two_things_below_each_other_do_not() -> None:
    seen = np.zeros((200, 200), np.float32)
    seen[10:90, 20:32] = 0.9
    seen[10:40, 100:112] = 0.9
    assert [(line.x, line.width, line.height) for line in boxes(seen, 0.4)] == [(20, 12, 80)]


def test_lines_that_the_detector_doubts_do_not_count() -> None:
    seen = np.full((100, 200), 0.05, np.float32)
    seen[10:20, 10:90] = 0.5  # a row of dots, say
    seen[40:50, 10:90] = 0.65
    seen[70:80, 10:40] = 0.65  # short: two shapes side by side, say
    seen[70:80, 60:90] = 0.8
    found = [(line.x, line.y, line.width, line.height) for line in boxes(seen, 0.4)]
    assert found == [(10, 40, 80, 10), (60, 70, 30, 10)]


def test_a_line_holds_a_smaller_one_that_lies_in_it() -> None:
    large, small, aside = (TextLine(*box, 0.9) for box in ((0, 0, 100, 20), (5, 5, 90, 10), (80, 5, 90, 10)))
    assert large.holds(small)
    assert not small.holds(large)
    assert not large.holds(aside)
