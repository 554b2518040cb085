"""Overlaid text is found, and textures and shapes are not taken for it."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hummingbird.config.curate import CurateSettings
from hummingbird_data.filters.text import TextStage, text_lines, text_share

STILL = np.zeros((100, 200), np.float32)
LIMIT = CurateSettings().max_text
SIDES = TextStage().sides


def share(frames: np.ndarray) -> float:
    return text_share(frames[[2, 30, 55]], SIDES, TextStage().probability)


def with_text(frames: np.ndarray, words: str, places: list[tuple[int, int]]) -> np.ndarray:
    made = frames.copy()
    for index, frame in enumerate(made):
        cv2.putText(
            frame, words, places[index % len(places)], cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 255, 255), 1
        )
    return made


@pytest.mark.parametrize("size", [(160, 128), (144, 256)])
def test_overlaid_text_is_found_and_sound_clips_have_none(shot: Callable, size: tuple[int, int]) -> None:
    for seed in range(4):
        frames = shot(seed, size=size)
        assert share(frames) <= LIMIT, seed
        assert share(with_text(frames, "SAMPLE 24", [(10, 100)])) > LIMIT, seed


def test_text_that_moves_through_the_scene_is_no_overlay(shot: Callable) -> None:
    frames = shot(1)[[2, 30, 55]]
    made = with_text(frames, "SAMPLE", [(5, 30), (40, 70), (60, 115)])
    assert text_share(made, SIDES, 0.4) <= LIMIT


def test_only_flat_blobs_count_as_lines() -> None:
    seen = np.zeros((100, 200), np.float32)
    seen[10:20, 10:90] = 0.9  # a line
    seen[40:80, 20:60] = 0.9  # compact: an object
    seen[50:90, 80:190] = 0.9  # too tall for a line
    assert text_lines(seen, 0.4, STILL) == [(10, 10, 80, 10)]


def test_lines_that_the_detector_doubts_do_not_count() -> None:
    seen = np.full((100, 200), 0.05, np.float32)
    seen[10:20, 10:90] = 0.5  # a row of dots, say
    seen[40:50, 10:90] = 0.65
    seen[70:80, 10:40] = 0.65  # short: two shapes side by side, say
    seen[70:80, 60:90] = 0.8
    assert text_lines(seen, 0.4, STILL) == [(10, 40, 80, 10), (60, 70, 30, 10)]


def test_a_short_line_counts_only_where_nothing_changes() -> None:
    seen, moved = np.full((100, 200), 0.05, np.float32), STILL.copy()
    for x in (10, 110):
        seen[10:20, x : x + 30] = 0.9  # shapes that turn in place, or a logo
    seen[40:50, 10:90] = 0.9
    moved[10:20, 20:30] = moved[40:50, 20:30] = 60
    assert text_lines(seen, 0.4, moved) == [(110, 10, 30, 10), (10, 40, 80, 10)]
