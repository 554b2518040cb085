"""Each defect of motion moves its own score, and sound clips of every motion move none."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hummingbird.config.curate import CurateSettings
from hummingbird.shapes.scene import MOTIONS
from hummingbird_data.filters.motion import (
    changes,
    flicker_score,
    freeze_score,
    motion_score,
    optical_flow,
    shrink,
    to_gray,
    zoom_score,
)
from hummingbird_data.reading.clip_frames import indices_at_rate

LIMITS = CurateSettings()
FPS = 12


def scores(frames: np.ndarray) -> dict[str, float]:
    noise = np.random.default_rng(0).normal(0, 0.7, frames.shape)
    small = shrink(np.clip(frames + noise, 0, 255).astype(np.uint8), 128)
    indices = indices_at_rate(len(small), FPS, 8)
    seconds = np.diff(indices) / FPS
    gray, change = to_gray(small[indices]), changes(small[indices])
    flows = optical_flow(gray)
    return {
        "motion": motion_score(flows, change, seconds),
        "freeze": freeze_score(change, seconds),
        "zoom": zoom_score(flows, gray, seconds),
        "flicker": flicker_score(to_gray(small)),
    }


def found(frames: np.ndarray) -> set[str]:
    s = scores(frames)
    static = s["motion"] < LIMITS.min_motion
    return {
        name
        for name, there in {
            "static": static,
            "freeze": s["freeze"] >= LIMITS.max_freeze and not static,
            "zoom": s["zoom"] > LIMITS.max_zoom,
            "flicker": s["flicker"] > LIMITS.max_flicker,
        }.items()
        if there
    }


@pytest.mark.parametrize("motion", MOTIONS)
def test_a_sound_clip_has_no_defect_of_motion(shot: Callable, motion: str) -> None:
    for seed in range(3):
        assert found(shot(seed, motion=motion, fps=FPS)) == set()


def test_a_still_picture_is_static(shot: Callable) -> None:
    assert found(np.repeat(shot(1, fps=FPS)[:1], 30, 0)) == {"static"}


def test_a_still_picture_that_a_coder_refreshes_is_static(shot: Callable) -> None:
    frames = np.repeat(shot(1, fps=FPS)[:1], 30, 0).astype(int)
    frames[::4, 40:60, 40:60] += 4
    frames[2::4, 80:100, 20:40] -= 4
    assert found(np.clip(frames, 0, 255).astype(np.uint8)) == {"static"}


def test_a_stretch_without_change_is_a_freeze_and_its_length_is_the_score(shot: Callable) -> None:
    frames = shot(2, fps=FPS, motion="turning").copy()
    frames[12:24] = frames[12]
    assert found(frames) == {"freeze"}
    assert scores(frames)["freeze"] == pytest.approx(1.0, abs=0.2)


def test_a_coder_that_refreshes_a_still_picture_does_not_end_its_freeze(shot: Callable) -> None:
    frames = shot(2, fps=FPS, motion="moving left").astype(int)
    frames[12:24] = frames[12]
    frames[18:24, 40:60, 40:60] += 4
    assert found(np.clip(frames, 0, 255).astype(np.uint8)) == {"freeze"}


@pytest.mark.parametrize("rate", [0.1, 0.3, -0.15])
def test_a_camera_zoom_is_one_and_its_rate_is_the_score(shot: Callable, rate: float) -> None:
    frames = shot(3, fps=FPS, motion="moving up", size=(256, 256))
    zoomed = []
    for index, frame in enumerate(frames):
        scale = 0.5 * np.exp(rate * (index / FPS - 1))
        center = np.array([[scale, 0, 64 - 128 * scale], [0, scale, 64 - 128 * scale]])
        zoomed.append(cv2.warpAffine(frame, center, (128, 128), flags=cv2.INTER_AREA))
    assert "zoom" in found(np.stack(zoomed))
    assert scores(np.stack(zoomed))["zoom"] == pytest.approx(abs(rate), rel=0.25)


def test_jumps_of_brightness_are_flicker_and_a_fade_is_none(shot: Callable) -> None:
    frames = shot(4, fps=FPS).astype(float)
    factors = np.random.default_rng(0).uniform(0.85, 1.15, (len(frames), 1, 1, 1))
    assert "flicker" in found(frames * factors)
    fade = np.linspace(0.4, 1, len(frames))[:, None, None, None]
    assert "flicker" not in found(frames * fade)


@pytest.mark.parametrize("frames", [1, 2, 4, 8])
def test_light_that_goes_one_way_is_no_flicker(shot: Callable, frames: int) -> None:
    """Out of black within a few frames, and into it."""
    moving = shot(4, fps=FPS, motion="moving left").astype(float)
    up = np.interp(np.arange(len(moving)), [6, 6 + frames], [0.0, 1.0])[:, None, None, None]
    assert "flicker" not in found(moving * up)
    assert "flicker" not in found((moving * up)[::-1])


@pytest.mark.parametrize("shown", [1, 2])
def test_flashes_and_flicker_of_pictures_shown_twice_are_flicker(shot: Callable, shown: int) -> None:
    moving = shot(4, fps=FPS, motion="moving left").astype(float)
    each = np.random.default_rng(1).uniform(0.85, 1.15, len(moving))
    assert "flicker" in found(moving * np.repeat(each, shown)[: len(moving), None, None, None])
    flashes = np.where(np.arange(len(moving)) % 12 < shown, 0.6, 1.0)
    assert "flicker" in found(moving * flashes[:, None, None, None])


def test_one_frame_has_no_motion_and_no_flicker() -> None:
    assert scores(np.full((1, 128, 128, 3), 100, np.uint8)) == {
        "motion": 0,
        "freeze": 0,
        "zoom": 0,
        "flicker": 0,
    }
