"""Bars around a picture are cropped; darkness within it is not."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hummingbird_data.reading.borders import Box, Profile, shot_boxes


def picture(height: int = 120, width: int = 160, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(60, 220, (height, width)).astype(np.uint8)


def framed(inner: np.ndarray, top: int, bottom: int, left: int, right: int) -> np.ndarray:
    noise = np.random.default_rng(9).integers(0, 12, (inner.shape[0] + top + bottom, 1)).astype(np.uint8)
    frame = np.repeat(noise, inner.shape[1] + left + right, 1)
    frame[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    return frame


@pytest.mark.parametrize(
    "bars", [(15, 15, 0, 0), (0, 0, 40, 40), (14, 15, 0, 0), (20, 20, 30, 30), (0, 0, 0, 0)]
)
def test_bars_are_found_and_cropped(bars: tuple[int, int, int, int]) -> None:
    frame = framed(picture(), *bars)
    box = Profile.of(frame).box()
    height, width = frame.shape
    assert (box.top * height, box.left * width) == pytest.approx((bars[0], bars[2]))
    assert ((1 - box.bottom) * height, (1 - box.right) * width) == pytest.approx((bars[1], bars[3]))
    cropped = box.crop(np.repeat(frame[..., None], 3, 2))
    assert cropped.min() >= 60
    assert all(side % 2 == 0 for side in cropped.shape[:2])
    assert cropped.shape[0] >= 116


@pytest.mark.parametrize("bars", [(15, 0, 0, 0), (2, 2, 0, 0), (0, 30, 0, 0), (200, 200, 0, 0)])
def test_bars_at_one_side_thin_ones_and_huge_ones_stay(bars: tuple[int, int, int, int]) -> None:
    assert Profile.of(framed(picture(), *bars)).box() == Box()


def blurred(inner: np.ndarray, side: int, strength: float = 9.0) -> np.ndarray:
    """The picture between blurred, enlarged copies of itself, as a phone's upright video is shown on a wide screen."""
    height, width = inner.shape
    behind = cv2.GaussianBlur(cv2.resize(inner, (width + 2 * side, height)), (0, 0), strength)
    behind[:, side : side + width] = inner
    return behind


def textured(height: int = 120, width: int = 90, seed: int = 0) -> np.ndarray:
    """Things of some size with grain, as pictures have."""
    draw = np.random.default_rng(seed)
    coarse = cv2.resize(
        draw.uniform(40, 210, (height // 8, width // 8)), (width, height), interpolation=cv2.INTER_CUBIC
    )
    return np.clip(coarse + draw.normal(0, 8, (height, width)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("side", "turned"), [(35, False), (20, False), (60, False), (40, True)])
def test_blurred_bars_are_found_and_cropped(side: int, turned: bool) -> None:
    frames = [blurred(textured(seed=seed), side) for seed in range(4)]
    frames = [np.ascontiguousarray(frame.T) if turned else frame for frame in frames]
    box = Profile.joined([Profile.of(frame) for frame in frames]).box()
    first, last = (box.top, box.bottom) if turned else (box.left, box.right)
    assert (first * (90 + 2 * side), last * (90 + 2 * side)) == pytest.approx((side, side + 90), abs=1)


def test_a_sharp_subject_before_a_soft_background_is_not_cropped() -> None:
    for seed in range(4):
        frame = cv2.GaussianBlur(textured(120, 200, seed), (0, 0), 6)
        y, x = np.mgrid[:120, :200]
        subject = (np.abs(x - 100) < 35 + 12 * np.sin(y / 9)) & (y > 15)
        frame[subject] = textured(120, 200, seed + 9)[subject]
        assert Profile.of(frame).box() == Box()


def test_an_object_before_black_is_not_cropped_nor_is_a_black_frame() -> None:
    frame = np.zeros((120, 160), np.uint8)
    assert Profile.of(frame).box() == Box()
    frame[40:80, 60:100] = 200
    assert Profile.of(frame).box() == Box()


def test_a_dark_shot_takes_the_box_of_its_file_unless_it_shows_something_outside() -> None:
    clear, dark = framed(picture(90), 15, 15, 0, 0), framed(picture(90) // 20, 15, 15, 0, 0)
    dark[50:60, 70:90] = 150
    full = picture(120, seed=1)
    seen = [(0, Profile.of(clear)), (10, Profile.of(dark)), (20, Profile.of(full))]
    boxes = shot_boxes([(0, 5), (5, 15), (15, 25), (25, 30)], seen)
    bars = Box(0.125, 0.875, 0.0, 1.0)
    assert boxes == [bars, bars, Box(), bars]


def test_the_shapes_world_has_no_bars(shot: Callable) -> None:
    for seed in range(4):
        frames = shot(seed, seconds=2)[::6].mean(-1).astype(np.uint8)
        assert Profile.joined([Profile.of(frame) for frame in frames]).box() == Box()
