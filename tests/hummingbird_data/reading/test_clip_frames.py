"""Frames are picked by time."""

import numpy as np
import pytest
from hummingbird_data.latents.samples import training_frames
from hummingbird_data.reading.clip_frames import evenly, indices_at_rate, window


def numbered(count: int) -> np.ndarray:
    return np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones((1, 8, 12, 3), np.uint8)


def first_pixels(frames: np.ndarray) -> list[int]:
    return frames[:, 0, 0, 0].tolist()


def test_frames_at_a_rate_are_those_shown_at_its_times() -> None:
    assert indices_at_rate(24, 24, 8).tolist() == [0, 3, 6, 9, 12, 15, 18, 21]
    assert indices_at_rate(12, 12, 8).tolist() == [0, 1, 3, 4, 6, 7, 9, 10]
    assert indices_at_rate(5, 5, 8).tolist() == [0, 1, 2, 3, 4]


def test_evenly_spaced_frames_have_both_ends() -> None:
    assert first_pixels(evenly(numbered(10), 4)) == [0, 3, 6, 9]
    assert first_pixels(evenly(numbered(2), 4)) == [0, 1]


def test_a_window_lies_in_the_middle_and_needs_its_length() -> None:
    assert first_pixels(window(numbered(96), 24, 8, 16)) == list(range(24, 72, 3))
    assert first_pixels(window(numbered(48), 24, 8, 16)) == list(range(0, 48, 3))
    with pytest.raises(ValueError, match="16 frames at 8 a second need more"):
        window(numbered(45), 24, 8, 16)


def test_training_frames_are_the_center_square_scaled() -> None:
    frames = np.zeros((48, 64, 128, 3), np.uint8)
    frames[:, :, 32:96] = 200
    made = training_frames(frames, 24, 8, 16, 32)
    assert made.shape == (16, 32, 32, 3)
    assert (made == 200).all()
