"""Dissolves and wipes of many lengths and kinds part shots, and no shot holds a mixed picture; what moves does not."""

import cv2
import numpy as np
import pytest
from drawn_takes import coded, dissolved, scene, sweeps, take, timed, wiped
from hummingbird_data.reading.shots import ShotSettings, find_shots

FIRST, FRAMES = 60, 170


def shots(frames: np.ndarray, fps: float = 25.0) -> list[tuple[int, int]]:
    return find_shots(timed(frames, fps), ShotSettings())


def check(found: list[tuple[int, int]], length: int) -> None:
    """Two shots, and between them the mixed frames and at most half a second of others."""
    assert len(found) == 2
    (start, stop), (begin, end) = found
    assert (start, end) == (0, FRAMES)
    # The first and the last mixed frame may show a few percent of the other scene.
    assert FIRST - 13 <= stop <= FIRST + 1
    assert FIRST + length - 1 <= begin <= FIRST + length + 13


@pytest.mark.parametrize(
    ("length", "seeds"), [(8, (1, 2)), (15, (3, 4)), (25, (1, 4)), (35, (3, 2)), (50, (1, 2))]
)
def test_a_dissolve_parts_two_shots_and_belongs_to_neither(length: int, seeds: tuple[int, int]) -> None:
    a, b = (take(seed, FRAMES) for seed in seeds)
    check(shots(coded(dissolved(a, b, FIRST, length))), length)


@pytest.mark.parametrize(
    ("kind", "length"), [("from_left", 10), ("from_right", 40), *((kind, 25) for kind in sweeps())]
)
def test_a_wipe_parts_two_shots_and_belongs_to_neither(kind: str, length: int) -> None:
    a, b = take(5, FRAMES), take(6, FRAMES)
    check(shots(coded(wiped(a, b, FIRST, length, sweeps()[kind]))), length)


def test_transitions_are_judged_in_seconds() -> None:
    """The same dissolve of a second, at 50 frames a second, and with frames that are left out."""
    a, b = take(1, 2 * FRAMES, speed=0.2), take(2, 2 * FRAMES, speed=0.2)
    frames = coded(dissolved(a, b, 2 * FIRST, 50))
    (_, stop), (begin, _) = shots(frames, fps=50)
    assert 2 * FIRST - 26 <= stop <= 2 * FIRST + 2
    assert 2 * FIRST + 48 <= begin <= 2 * FIRST + 76
    kept = [n for n in range(len(frames)) if n % 5 not in (1, 2, 4)]  # 20 a second, unevenly
    pairs = find_shots(((n / 50, frames[n]) for n in kept), ShotSettings())
    assert len(pairs) == 2
    assert kept[pairs[0][1] - 1] < 2 * FIRST + 2
    assert kept[pairs[1][0]] >= 2 * FIRST + 48


def test_several_transitions_and_a_cut_in_one_source() -> None:
    takes = [take(seed, 260) for seed in (7, 8, 9, 10)]
    frames = dissolved(takes[0], takes[1], 50, 20)
    frames = wiped(frames, takes[2], 120, 25, sweeps()["from_left"])
    frames[200:] = takes[3][200:]
    found = shots(coded(frames))
    assert len(found) == 4
    assert found[2][1] == found[3][0] == 200
    assert found[0][1] <= 51
    assert found[1][0] >= 69
    assert found[1][1] <= 121
    assert 144 <= found[2][0] < 160


@pytest.mark.parametrize("speed", [0.5, 3.0])
def test_a_pan_is_no_transition(speed: float) -> None:
    assert shots(coded(take(11, FRAMES, speed))) == [(0, FRAMES)]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_lines_of_text_that_come_and_go_over_a_pan_are_no_transition(seed: int) -> None:
    frames = take(seed, 75, 1.0)
    for first, stop in ((0, 32), (42, 75)):
        for number, left in enumerate(range(20, 170, 6)):  # letters: upright strokes
            frames[first:stop, 88:100, left : left + 3] = (20, 245)[number % 2]
    assert shots(coded(frames)) == [(0, 75)]


def test_a_zoom_is_no_transition() -> None:
    wide = scene(13)[:108, :192].astype(np.float32)
    frames = []
    for number in range(FRAMES):
        factor = 1 + 1.5 * number / FRAMES
        way = cv2.getRotationMatrix2D((96, 54), 0, factor)
        frames.append(cv2.warpAffine(wide, way, (192, 108), flags=cv2.INTER_LINEAR))
    assert shots(coded(np.stack(frames))) == [(0, FRAMES)]


def test_a_change_of_exposure_is_no_transition() -> None:
    for gain in (0.25, 2.0):
        level = np.interp(np.arange(FRAMES), [0, 60, 100, FRAMES], [1, 1, gain, gain])
        assert shots(coded(take(14, FRAMES) * level[:, None, None, None])) == [(0, FRAMES)]


def test_a_flash_is_no_transition() -> None:
    frames = take(15, FRAMES)
    for first, length in ((50, 1), (90, 3)):
        frames[first : first + length] = 255
    assert shots(coded(frames)) == [(0, FRAMES)]


@pytest.mark.parametrize("frames_across", [12, 40])
def test_something_that_passes_before_the_camera_is_no_transition(frames_across: int) -> None:
    frames, thing = take(16, FRAMES), scene(17)[:108, :250]
    for number in range(FRAMES):
        left = round(192 - (number - 60) * (192 + 250) / frames_across)
        a, b = max(0, left), min(192, left + 250)
        if a < b:
            frames[number, :, a:b] = thing[:, a - left : b - left]
    assert shots(coded(frames)) == [(0, FRAMES)]
