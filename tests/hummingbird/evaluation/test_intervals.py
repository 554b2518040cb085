"""Bootstrap intervals: they hold the value, shrink with more prompts, and pair models by prompt."""

import numpy as np
import pytest
from hummingbird.evaluation.intervals import ModelScore, Scale, ValueTable, score_models
from hummingbird.evaluation.score import VBENCH_PARTS, Dimension
from hummingbird.evaluation.suites.shapes.dimensions import SHAPES

ONE = {"object class"}
TWO = {"multiple objects", "spatial relationship"}
SCALE = Scale(SHAPES, VBENCH_PARTS)


def videos(count: int, seed: int, shift: float = 0.0) -> ValueTable:
    rng = np.random.default_rng(seed)
    rows = []
    for index in range(count):
        left_out = TWO if index % 2 == 0 else ONE
        level = float(rng.uniform(0.3, 0.7)) + shift  # hard and easy prompts
        rows.append(
            {d.name: d.minimum + level * (d.maximum - d.minimum) for d in SHAPES if d.name not in left_out}
        )
    return ValueTable(SCALE, rows)


def width(result: ModelScore) -> float:
    assert result.total is not None
    assert result.total.low <= result.total.value <= result.total.high
    return result.total.high - result.total.low


def test_the_interval_holds_the_value_and_shrinks_with_prompts() -> None:
    few, many = (score_models({"m": videos(n, 0)}, 200, 0)["m"] for n in (20, 320))
    assert width(many) < 0.5 * width(few)


def test_differences_are_paired_by_prompt() -> None:
    result = score_models({"teacher": videos(40, 1), "student": videos(40, 1, shift=0.02)}, 200, 0)
    differences = result["student"].differences
    assert set(differences) == {"total", "quality", "semantic", *(d.name for d in SHAPES)}
    for difference in differences.values():
        assert difference.value == pytest.approx(0.02)
        # Each total varies with the prompts drawn; their difference does not.
        assert difference.high - difference.low < 1e-9
    assert width(result["teacher"]) > 0.01
    assert result["teacher"].differences == {}


def test_the_same_seed_gives_the_same_intervals() -> None:
    assert score_models({"m": videos(20, 0)}, 100, 7) == score_models({"m": videos(20, 0)}, 100, 7)


def test_models_with_other_prompts_seeds_or_dimensions_are_refused() -> None:
    values = [{"a": 0.5}, {"a": 0.6}]
    scale = Scale((Dimension("a", 0, 1, 1, "p"), Dimension("b", 0, 1, 1, "p")), {"p": 1})
    first = ValueTable(scale, values, [("1", 0), ("2", 0)])
    for other in (
        ValueTable(scale, values, [("1", 0), ("3", 0)]),
        ValueTable(scale, values, [("1", 0), ("2", 9)]),
        ValueTable(scale, values[:1], [("1", 0)]),
        ValueTable(scale, [{"a": 0.5}, {"b": 0.6}], [("1", 0), ("2", 0)]),
    ):
        with pytest.raises(ValueError, match="mine was not measured on the same prompts as theirs"):
            score_models({"theirs": first, "mine": other}, 100, 0)


def test_a_dimension_without_values_is_missing_and_so_is_the_total() -> None:
    scale = Scale((Dimension("a", 0, 1, 1, "p"), Dimension("b", 0, 1, 1, "q")), {"p": 1, "q": 1})
    result = score_models({"m": ValueTable(scale, [{"a": 0.5}, {"a": 0.7}])}, 100, 0)["m"]
    assert (set(result.dimensions), set(result.parts), result.total) == ({"a"}, {"p"}, None)
    assert result.raw == {"a": pytest.approx(0.6)}


def test_seeds_of_a_prompt_are_drawn_with_their_prompt() -> None:
    scale = Scale((Dimension("a", 0, 1, 1, "p"),), {"p": 1})
    prompts = [(str(prompt), seed) for prompt in range(4) for seed in range(8)]
    by_prompt = ValueTable(scale, [{"a": int(prompt) / 4} for prompt, _ in prompts], prompts)
    by_seed = ValueTable(scale, [{"a": seed / 8} for _, seed in prompts], prompts)
    widths = {
        name: width(score_models({"m": table}, 400, 0)["m"])
        for name, table in (("prompt", by_prompt), ("seed", by_seed))
    }
    # Four prompts say less than 32 videos: were all videos drawn alike, both would be about as wide.
    assert widths["prompt"] > 1.8 * widths["seed"]
