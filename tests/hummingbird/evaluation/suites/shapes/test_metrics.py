"""Drawn scenes score near the top, noise near 0, and every defect costs where it should."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hummingbird.evaluation.score import VBENCH_PARTS, Score, score
from hummingbird.evaluation.suites.shapes.dimensions import SHAPES
from hummingbird.evaluation.suites.shapes.metrics import measure_clip
from hummingbird.shapes.scene import caption, parse_caption, render_clip, sample_scene
from numpy.typing import NDArray

Frames = NDArray[np.uint8]
COUNT = 8


def score_of(change: Callable[[Frames, np.random.Generator], Frames]) -> Score:
    """The score of drawn scenes, of one object and of two, after a change of their frames."""
    rng = np.random.default_rng(5)
    rows = []
    for index in range(COUNT):
        scene = sample_scene(rng, objects=1 + index % 2)
        attributes = parse_caption(caption(scene))
        assert attributes is not None
        rows.append(measure_clip(change(render_clip(scene), rng), attributes).values)
    names = {name for row in rows for name in row}
    means = {n: float(np.mean([row[n] for row in rows if n in row])) for n in names}
    return score(means, SHAPES, VBENCH_PARTS)


def total_of(score: Score) -> float:
    assert score.total is not None
    return score.total


def to_pixels(values: NDArray[np.float64]) -> Frames:
    return np.clip(values + 0.5, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def drawn() -> Score:
    return score_of(lambda frames, rng: frames)


def test_drawn_scenes_score_near_the_top(drawn: Score) -> None:
    assert total_of(drawn) > 0.97
    assert min(drawn.dimensions.values()) > 0.9


def test_noise_scores_near_zero() -> None:
    noise = score_of(lambda frames, rng: to_pixels(rng.normal(128, 40, frames.shape)))
    assert total_of(noise) < 0.05


def test_an_empty_picture_has_only_its_stillness() -> None:
    gray = score_of(lambda frames, rng: np.full_like(frames, 128))
    still = {"background consistency", "temporal flickering"}
    assert {name for name, value in gray.dimensions.items() if value > 0} == still
    assert total_of(gray) < 0.3


DEFECTS: dict[str, Callable[[Frames, np.random.Generator], Frames]] = {
    "imaging quality": lambda f, rng: np.stack([cv2.GaussianBlur(x, (0, 0), 1.2) for x in f]).astype(
        np.uint8
    ),
    "temporal flickering": lambda f, rng: to_pixels(f * (1 + rng.normal(0, 0.1, (len(f), 1, 1, 1)))),
    "background consistency": lambda f, rng: to_pixels(f * np.linspace(1, 0.6, len(f))[:, None, None, None]),
    "motion smoothness": lambda f, rng: np.stack(
        [np.roll(x, tuple(rng.integers(-2, 3, 2)), (0, 1)) for x in f]
    ),
    "dynamic degree": lambda f, rng: np.repeat(f[:1], len(f), 0),
    "motion": lambda f, rng: np.repeat(f[:1], len(f), 0),
    "color": lambda f, rng: f[..., [1, 2, 0]],
    "spatial relationship": lambda f, rng: f[:, ::-1, ::-1],
    "subject consistency": lambda f, rng: np.concatenate([f[:8], f[8:, ..., [1, 2, 0]]]),
}


@pytest.mark.parametrize("dimension", DEFECTS)
def test_a_defect_costs_its_dimension(dimension: str, drawn: Score) -> None:
    changed = score_of(DEFECTS[dimension])
    assert changed.dimensions[dimension] < drawn.dimensions[dimension] - 0.15
    assert total_of(changed) < total_of(drawn)


def test_a_stronger_defect_costs_more() -> None:
    def noisy(sigma: float) -> Callable[[Frames, np.random.Generator], Frames]:
        return lambda frames, rng: to_pixels(frames + rng.normal(0, sigma, frames.shape))

    totals = [total_of(score_of(noisy(sigma))) for sigma in (4, 12, 30)]
    assert totals == sorted(totals, reverse=True)
    assert totals[0] - totals[-1] > 0.1


def test_too_few_frames_are_refused() -> None:
    attributes = parse_caption("a red circle moving left on a striped background")
    assert attributes is not None
    with pytest.raises(ValueError, match="at least 16 frames"):
        measure_clip(np.zeros((8, 64, 64, 3), np.uint8), attributes)
