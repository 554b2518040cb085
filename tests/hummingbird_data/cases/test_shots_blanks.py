"""Fades to black and to white, with and without a mark, and hard cuts to black: they part shots, and are in none."""

import numpy as np
import pytest
from drawn_takes import coded, take, timed
from hummingbird_data.reading.shots import ShotSettings, find_shots

MIDDLE, FRAMES = 75, 150


def joined(blank: int, fade: int, level: float = 0.0, seeds: tuple[int, int] = (21, 22)) -> np.ndarray:
    """Two takes with ``blank`` frames of one ``level`` in the middle, and fades of ``fade`` frames there and back."""
    a, b = (take(seed, FRAMES) for seed in seeds)
    away = np.abs(np.arange(FRAMES) + 0.5 - MIDDLE) - blank / 2
    gain = np.clip(away / fade, 0, 1) if fade else (away > 0).astype(float)
    frames = np.where((np.arange(FRAMES) < MIDDLE)[:, None, None, None], a, b)
    return level + (frames - level) * gain[:, None, None, None]


def marked(frames: np.ndarray, tone: float, clear: float, lines: int = 2) -> np.ndarray:
    """Lines of letters, as bars with gaps, that stay; ``clear``: how much of the picture shines through."""
    letters = np.zeros(frames.shape[1:3], bool)
    for line in range(lines):
        top = 66 + 18 * line
        for left in range(8, 184, 8):
            letters[top : top + 12, left : left + 2] = letters[top + 5 : top + 7, left : left + 5] = True
    result = frames.copy()
    result[:, letters] = result[:, letters] * clear + tone * (1 - clear)
    return result


def shots(frames: np.ndarray, fps: float = 25.0) -> list[tuple[int, int]]:
    return find_shots(timed(coded(frames), fps), ShotSettings())


def check(found: list[tuple[int, int]], blank: int, fade: int) -> None:
    assert len(found) == 2
    (start, stop), (begin, end) = found
    first, last = MIDDLE - blank // 2, MIDDLE + (blank + 1) // 2  # the blank frames
    assert (start, end) == (0, FRAMES)
    assert first - fade <= stop <= first
    assert last <= begin <= last + fade


@pytest.mark.parametrize(
    ("blank", "fade"), [(2, 0), (4, 0), (10, 0), (24, 0), (2, 12), (24, 12), (40, 6), (10, 25)]
)
def test_black_between_two_takes(blank: int, fade: int) -> None:
    check(shots(joined(blank, fade)), blank, fade)


@pytest.mark.parametrize(("blank", "fade"), [(10, 12), (24, 12), (40, 20)])
def test_white_between_two_takes(blank: int, fade: int) -> None:
    check(shots(joined(blank, fade, 255.0)), blank, fade)


@pytest.mark.parametrize("clear", [0.0, 0.5])
@pytest.mark.parametrize("lines", [1, 2])
@pytest.mark.parametrize(("blank", "fade"), [(24, 12), (12, 8), (8, 0)])
def test_black_around_a_mark_that_stays(clear: float, lines: int, blank: int, fade: int) -> None:
    check(shots(marked(joined(blank, fade), 255.0, clear, lines)), blank, fade)


def test_white_around_a_mark_that_stays() -> None:
    check(shots(marked(joined(24, 12, 255.0), 0.0, 0.0)), 24, 12)


@pytest.mark.parametrize("fps", [12.5, 50.0])
def test_fades_are_judged_in_seconds(fps: float) -> None:
    check(shots(joined(24, 6), fps), 24, 6)


def test_a_dark_scene_with_lights_is_no_fade() -> None:
    """A night: four fifths black, and lights that move slowly."""
    frames = take(23, FRAMES) * 0.02
    for number in range(FRAMES):
        for light in range(6):
            left = 20 + 28 * light + number // 10
            frames[number, 30 + 5 * light : 46 + 5 * light, left : left + 12] = 200
    assert shots(frames) == [(0, FRAMES)]
