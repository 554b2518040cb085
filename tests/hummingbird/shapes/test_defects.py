import numpy as np
import pytest
from hummingbird.shapes.defects import REASONS, ZOOM_MARGIN, apply_defect, near_copy
from hummingbird.shapes.scene import render, sample_scene
from numpy.typing import NDArray

FPS, COUNT = 12, 30
SEEDS = range(4)


def _shot(seed: int, scale: float = 1.0) -> NDArray[np.uint8]:
    scene = sample_scene(np.random.default_rng(seed), duration=COUNT / FPS)
    return render(scene, np.arange(COUNT) / FPS, round(160 * scale), round(128 * scale))


def _with(name: str, seed: int) -> NDArray[np.uint8]:
    return apply_defect(name, _shot(seed), np.random.default_rng(seed), fps=FPS)


def _detail(frames: NDArray[np.uint8]) -> float:
    gray = frames.mean(-1)
    return float(np.abs(np.diff(gray, n=2, axis=1)).mean() + np.abs(np.diff(gray, n=2, axis=2)).mean())


@pytest.mark.parametrize("name", REASONS)
def test_every_defect_keeps_size_and_input_and_follows_the_seed(name: str) -> None:
    frames = _shot(1)
    before = frames.copy()
    after = apply_defect(name, frames, np.random.default_rng(1), fps=FPS)
    assert after.shape == frames.shape
    assert after.dtype == np.uint8
    assert (frames == before).all()
    assert (after != frames).any()
    assert (after == apply_defect(name, frames, np.random.default_rng(1), fps=FPS)).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_blur_takes_detail_and_noise_adds_it(seed: int) -> None:
    assert _detail(_with("blur", seed)) < 0.4 * _detail(_shot(seed))
    assert _detail(_with("noise", seed)) > 2 * _detail(_shot(seed))


@pytest.mark.parametrize("seed", SEEDS)
def test_compression_is_far_from_the_original_and_a_near_copy_is_not(seed: int) -> None:
    def error(frames: NDArray[np.uint8]) -> float:
        return float(np.sqrt(((frames.astype(float) - _shot(seed)) ** 2).mean()))

    assert error(_with("compression", seed)) > 9
    copy = near_copy(_shot(seed), np.random.default_rng(seed))
    small = [frames[::8, ::8, ::8].astype(float) for frames in (copy, _shot(seed))]
    assert 2 < np.abs(small[0] - small[1]).mean() < 30


@pytest.mark.parametrize("seed", SEEDS)
def test_static_never_changes_and_freeze_changes_before_and_after(seed: int) -> None:
    def moves(frames: NDArray[np.uint8]) -> NDArray[np.bool_]:
        return np.asarray((frames[1:] != frames[:-1]).any((1, 2, 3)))

    assert not moves(_with("static", seed)).any()
    frozen = moves(_with("freeze", seed))
    still = np.flatnonzero(~frozen)
    assert 0.5 * COUNT < len(still) < 0.75 * COUNT
    assert (np.diff(still) == 1).all()
    assert frozen[0]
    assert frozen[-1]


@pytest.mark.parametrize("seed", SEEDS)
def test_flicker_changes_the_brightness_of_all_and_nothing_else(seed: int) -> None:
    frames = _with("flicker", seed)
    levels = frames.mean((1, 2, 3))
    assert np.abs(np.diff(levels)).mean() > 0.1 * levels.mean()
    corner = frames[:, 2:8, 2:8].astype(float).mean(-1)
    corner /= corner.mean((1, 2), keepdims=True)
    assert corner.std(0).max() < 0.02


@pytest.mark.parametrize("seed", SEEDS)
def test_zoom_scales_the_background_and_needs_no_enlarging(seed: int) -> None:
    large = _shot(seed, ZOOM_MARGIN)
    frames = apply_defect("zoom", large, np.random.default_rng(seed), fps=FPS, size=(160, 128))
    assert frames.shape == (COUNT, 128, 160, 3)
    changed = np.abs(frames[0].astype(int) - frames[-1]).max(-1) > 20
    changed[16:-16, 16:-16] = False  # what is left is background in every scene
    assert changed.sum() > 500
    assert _detail(frames) > 0.5 * _detail(_shot(seed))


@pytest.mark.parametrize("seed", SEEDS)
def test_text_covers_the_same_clear_share_from_start_to_end(seed: int) -> None:
    frames, original = _with("text", seed).astype(int), _shot(seed).astype(int)
    covered = (np.abs(frames - original).max(-1) > 40).mean((1, 2))
    assert covered.min() > 0.02
    assert covered.max() < 0.45


def test_unknown_defects_and_bad_frames_are_refused() -> None:
    with pytest.raises(ValueError, match="known: blur"):
        apply_defect("scratches", _shot(0), np.random.default_rng(0))
    with pytest.raises(ValueError, match="uint8"):
        apply_defect("blur", _shot(0)[0], np.random.default_rng(0))
