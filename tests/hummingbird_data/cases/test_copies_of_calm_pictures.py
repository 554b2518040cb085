"""Clips of one calm scene with different small things in them are no copies of each other."""

from itertools import combinations

import cv2
import numpy as np
from hummingbird_data.copies.duplicates import CopyLimits
from hummingbird_data.copies.likeness import likeness, thumbnails


def sky(seed: int) -> np.ndarray:
    """An evening sky with a sensor's noise, and one small thing that drifts through it."""
    draw = np.random.default_rng(seed)
    x, y, color = draw.uniform(60, 260), draw.uniform(50, 190), draw.uniform(0, 255, 3).tolist()
    turn, size = draw.uniform(0, 6.3), int(draw.integers(10, 20))
    frames = []
    for number in range(0, 48, 6):
        down = np.linspace(0, 1, 240)[:, None] * np.ones((1, 320))
        rgb = np.stack([90 + 110 * down, 130 + 60 * down, 220 - 70 * down], -1) + draw.normal(
            0, 1.5, (240, 320, 3)
        )
        place = (round(x + np.cos(turn) * number), round(y + np.sin(turn) * number))
        frame = np.clip(rgb, 0, 255).astype(np.uint8)
        if seed % 2:
            frames.append(cv2.circle(frame, place, size, color, -1))
        else:
            frames.append(cv2.rectangle(frame, place, (place[0] + 3 * size, place[1] + size), color, -1))
    return np.stack(frames)


def test_clips_of_one_sky_are_less_alike_than_copies() -> None:
    clips = [sky(seed) for seed in range(20)]
    seen = [thumbnails(frames) for frames in clips]
    assert max(likeness(a, b) for a, b in combinations(seen, 2)) < CopyLimits().likeness


def test_darker_and_cropped_copies_of_one_are_as_alike_as_copies() -> None:
    frames = sky(1)
    cropped = frames[:, 10:-10, 12:-12]
    for copy in ((frames * 0.8).astype(np.uint8), cropped):
        assert likeness(thumbnails(frames), thumbnails(copy)) >= CopyLimits().likeness
