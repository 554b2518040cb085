"""Cuts are found on their frame, and only there."""

from collections.abc import Callable

import numpy as np
from hummingbird_data.reading.shots import ShotSettings, find_shots


def shots(frames: np.ndarray, fps: float = 24) -> list[tuple[int, int]]:
    return find_shots(((index / fps, frame) for index, frame in enumerate(frames)), ShotSettings())


def bounds(frames: np.ndarray) -> list[int]:
    found = shots(frames)
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


def test_a_cut_is_found_that_color_alone_shows(shot: Callable) -> None:
    gray = np.repeat(shot(1, seconds=2, size=(96, 72)).mean(-1, keepdims=True), 3, -1) * 0.2
    red, green = (
        np.array([142, 93, 88]) * 0.8,
        np.array([79, 128, 84]) * 0.8,
    )  # as bright, and as far from gray
    frames = np.concatenate([gray[:24] + red, gray[24:] + green]).astype(np.uint8)
    assert bounds(frames) == [24, 48]


def test_a_flash_and_flicker_are_no_cuts(shot: Callable) -> None:
    frames = shot(3, seconds=2, size=(96, 72)).astype(float)
    frames[20] = frames[20] * 1.4 + 20
    frames[30:] *= np.random.default_rng(0).uniform(0.75, 1.2, (18, 1, 1, 1))
    assert bounds(np.clip(frames, 0, 255).astype(np.uint8)) == [48]


def test_a_cut_stands_out_beside_a_flickering_light(shot: Callable) -> None:
    first, second = (shot(seed, seconds=2, size=(96, 72)).astype(float) for seed in (0, 1))
    first *= np.where(np.arange(48) % 2, 0.75, 1.25)[:, None, None, None]
    assert bounds(np.clip(np.concatenate([first, second]), 0, 255).astype(np.uint8)) == [48, 96]


def test_the_end_of_a_freeze_is_no_cut(shot: Callable) -> None:
    for seed in range(4):
        frames = shot(seed, seconds=2, size=(96, 72)).copy()
        frames[8:36] = frames[8]
        assert bounds(frames) == [48]


def test_one_frame_is_one_shot() -> None:
    assert bounds(np.full((1, 48, 64, 3), 90, np.uint8)) == [1]


def test_a_fade_through_black_parts_shots_and_a_title_is_a_shot(shot: Callable) -> None:
    def faded(seed: int, rise: bool, fall: bool) -> np.ndarray:
        frames = shot(seed, seconds=2, size=(96, 72)).astype(float)
        gain = np.ones(48)
        gain[:12] = np.linspace(0, 1, 12) if rise else 1
        gain[-12:] = np.linspace(1, 0, 12) if fall else 1
        return (frames * gain[:, None, None, None]).astype(np.uint8)

    two = [faded(1, False, True), faded(2, True, False)]
    (start, fades_out), (fades_in, end) = shots(np.concatenate(two))
    assert (start, end) == (0, 96)
    assert 45 <= fades_out < 48 < fades_in <= 51
    pause = np.zeros((30, 72, 96, 3), np.uint8)
    pause[:, 35:37, 40:56] = 220  # a line of text
    found = bounds(np.concatenate([two[0], pause, two[1]]))
    assert len(found) == 3
    assert found[0] in range(45, 49)
    assert found[1] in range(78, 82)


def test_a_fade_through_white_between_bars_is_cut(shot: Callable) -> None:
    frames = np.concatenate([shot(seed, seconds=2, size=(96, 72)) for seed in (1, 2)]).astype(float)
    white = np.clip(1 - np.abs(np.arange(96) - 47.5) / 14, 0, 1)[:, None, None, None]
    frames = frames * (1 - white) + 200 * white
    frames[:, :10] = frames[:, -10:] = 0
    (_, stop), (begin, _) = shots(frames.astype(np.uint8))
    assert 34 <= stop <= 49
    assert stop <= begin <= 66


def test_black_before_and_behind_all_takes_is_no_part_of_one(shot: Callable) -> None:
    black = np.zeros((5, 72, 96, 3), np.uint8)
    assert bounds(np.concatenate([black, shot(1, seconds=2, size=(96, 72)), black])) == [5, 53, 58]
    assert bounds(np.repeat(black, 10, 0)) == [50]
