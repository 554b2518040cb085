"""Bootstrap intervals: they hold the value, shrink with more prompts, and pair models by prompt."""

import numpy as np
import pytest
from hummingbird.evaluation.intervals import score_models
from hummingbird.evaluation.score import SHAPES

ONE = {"object class"}
TWO = {"multiple objects", "spatial relationship"}


def videos(count: int, seed: int, shift: float = 0.0) -> list[dict[str, float]]:
    rng = np.random.default_rng(seed)
    rows = []
    for index in range(count):
        left_out = TWO if index % 2 == 0 else ONE
        level = float(rng.uniform(0.3, 0.7)) + shift  # hard and easy prompts
        rows.append(
            {d.name: d.minimum + level * (d.maximum - d.minimum) for d in SHAPES if d.name not in left_out}
        )
    return rows


def test_the_interval_holds_the_value_and_shrinks_with_prompts() -> None:
    few, many = (score_models({"m": videos(n, 0)}, 200, 0)["m"] for n in (20, 320))
    for result in (few, many):
        assert result.total.low <= result.total.value <= result.total.high
    assert many.total.high - many.total.low < 0.5 * (few.total.high - few.total.low)


def test_the_lead_is_paired_by_prompt() -> None:
    result = score_models({"teacher": videos(40, 1), "student": videos(40, 1, shift=0.02)}, 200, 0)
    lead = result["student"].lead
    assert lead is not None
    assert lead.value == pytest.approx(0.02)
    # Each total varies with the prompts drawn; their difference does not.
    assert lead.high - lead.low < 1e-9
    assert result["teacher"].total.high - result["teacher"].total.low > 0.01
    assert result["teacher"].lead is None


def test_the_same_seed_gives_the_same_intervals() -> None:
    assert score_models({"m": videos(20, 0)}, 100, 7) == score_models({"m": videos(20, 0)}, 100, 7)


def test_models_with_different_prompts_are_refused() -> None:
    with pytest.raises(ValueError, match="same prompts"):
        score_models({"a": videos(20, 0), "b": videos(18, 0)}, 100, 0)
