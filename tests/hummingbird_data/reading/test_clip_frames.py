"""Frames are picked by time."""

import numpy as np
import pytest
from hummingbird_data.latents.buckets import Bucket, Length, choose_bucket
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


def test_training_frames_are_the_center_of_the_wanted_aspect_scaled() -> None:
    frames = np.zeros((48, 64, 128, 3), np.uint8)
    frames[:, :, 32:96] = 200
    made = training_frames(frames, 24, 8, 16, 32, 32)
    assert made.shape == (16, 32, 32, 3)
    assert (made == 200).all()
    frames[:, 12:52] = 100  # the widest middle of 128 x 40
    made = training_frames(frames, 24, 8, 16, 80, 256)
    assert made.shape == (16, 80, 256, 3)
    assert (made == 100).all()


@pytest.mark.parametrize(
    ("size", "frames", "bucket", "rate"),
    [
        ((320, 512), 48, (320, 512, 16), 8),
        ((320, 512), 96, (320, 512, 26), 8),  # of equal aspects the most frames
        ((640, 400), 96, (512, 320, 16), 8),
        ((480, 854), 48, (320, 512, 16), 8),
        ((480, 480), 40, (320, 512, 16), 9.6),
        ((480, 480), 24, None, 0),  # 16 a second would be needed
    ],
)
def test_a_clip_goes_to_the_closest_size_that_it_is_long_enough_for(
    size: tuple[int, int], frames: int, bucket: tuple[int, int, int] | None, rate: float
) -> None:
    buckets = [Bucket(320, 512, 16), Bucket(320, 512, 26), Bucket(512, 320, 16)]
    chosen = choose_bucket(*size, Length(frames, 24.0), buckets, 8.0, 12.0)
    assert chosen == (None if bucket is None else (Bucket(*bucket), pytest.approx(rate)))
