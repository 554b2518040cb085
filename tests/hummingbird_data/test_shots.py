"""Cuts are found on their frame, and only there."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hummingbird_data.decode import decode
from hummingbird_data.probe import Limits, probe
from hummingbird_data.shots import ShotSettings, find_shots

REAL = Path(__file__).parents[3] / "shared" / "videos"


def bounds(frames: np.ndarray) -> list[int]:
    found = find_shots(iter(frames), Fraction(24), ShotSettings())
    assert [b for _, b in found][:-1] == [a for a, _ in found][1:]
    return [b for _, b in found]


def test_cuts_between_shots_of_the_same_world_are_exact(shot: Callable) -> None:
    shots = [
        shot(seed, seconds=length, size=(96, 72)) for seed, length in enumerate((0.5, 0.75, 0.5, 1.0, 0.5))
    ]
    noise = np.random.default_rng(0)
    frames = np.concatenate(shots)
    frames = np.clip(frames + noise.normal(0, 3, frames.shape), 0, 255).astype(np.uint8)
    assert bounds(frames) == np.cumsum([len(s) for s in shots]).tolist()


def test_a_flash_and_flicker_are_no_cuts(shot: Callable) -> None:
    frames = shot(3, seconds=2, size=(96, 72)).astype(float)
    frames[20] = frames[20] * 1.4 + 20
    frames[30:] *= np.random.default_rng(0).uniform(0.75, 1.2, (18, 1, 1, 1))
    assert bounds(np.clip(frames, 0, 255).astype(np.uint8)) == [48]


def test_the_end_of_a_freeze_is_no_cut(shot: Callable) -> None:
    for seed in range(4):
        frames = shot(seed, seconds=2, size=(96, 72)).copy()
        frames[8:36] = frames[8]
        assert bounds(frames) == [48]


def test_one_frame_is_one_shot() -> None:
    assert bounds(np.full((1, 48, 64, 3), 90, np.uint8)) == [1]


@pytest.mark.slow
@pytest.mark.skipif(not REAL.is_dir(), reason="needs the real videos beside the checkout")
def test_the_cut_of_real_footage_is_exact() -> None:
    path = REAL / "sintel_10s.mp4"
    info = probe(path, Limits())
    frames = (frame.rgb for frame in decode(path, info, Limits(), 72))
    # It comes out of black from frame 166 on, which is no cut, and cuts at 214.
    assert find_shots(frames, info.fps, ShotSettings()) == [(0, 214), (214, 240)]
