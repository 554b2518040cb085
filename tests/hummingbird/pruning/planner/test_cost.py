import pytest
import torch
from hummingbird.models.architectures import shapes_teacher_config, videocrafter2_config
from hummingbird.models.unet import VideoUNet
from hummingbird.pruning.planner.cost import (
    InputShape,
    measure_milliseconds,
    model_cost,
    part_costs,
    reference_extra_flop,
    total_cost,
)
from hummingbird.pruning.pruned_config import pruned_config
from hummingbird.pruning.pruning_plan import load_plan


@pytest.mark.parametrize(
    ("plan", "parameters", "teraflop"),
    [
        (None, 1_413_284_420, {16: 12.58, 26: 20.46}),
        ("hummingbird-0.9b", 945_127_300, {16: 8.18, 26: 13.31}),
        ("hummingbird-0.7b", 772_009_860, {16: 7.96, 26: 12.95}),
    ],
)
def test_counts_of_the_paper_at_full_size(
    plan: str | None, parameters: int, teraflop: dict[int, float]
) -> None:
    config = videocrafter2_config()
    if plan is not None:
        config = pruned_config(load_plan(plan, config), config)
    for frames, expected in teraflop.items():
        shape = InputShape(frames, 40, 64)
        cost = model_cost(config, shape)
        assert cost.parameters == parameters
        # The published figures follow the reference's arithmetic, rounded to two places.
        total_flop = cost.flop + reference_extra_flop(config, shape)
        assert total_flop / 1e12 == pytest.approx(expected, abs=0.0061)


def test_parts_sum_up_and_a_plan_saves_what_its_parts_cost() -> None:
    config, shape = shapes_teacher_config(), InputShape(8, 8, 8, 16)
    parts = part_costs(config, shape)
    whole = model_cost(config, shape)
    assert total_cost(parts) == whole
    plan = load_plan("hummingbird-0.7b", config)
    student = model_cost(pruned_config(plan, config), shape)
    layers = {f"down.{stage}.1." for stage in range(3)} | {"up.0.0.", "up.1.1.", "up.2.0.", "middle"}
    gone = [cost for part, cost in parts.items() if part.startswith(tuple(layers))]
    assert student.parameters == whole.parameters - sum(cost.parameters for cost in gone)
    assert student.flop == pytest.approx(whole.flop - sum(cost.flop for cost in gone))


def test_milliseconds_of_parts_sum_up_to_the_whole() -> None:
    torch.manual_seed(0)
    unet = VideoUNet(**shapes_teacher_config())
    whole, parts = measure_milliseconds(unet, InputShape(2, 8, 8, 4), warmup=1, repeats=2)
    assert whole > 0
    assert sum(parts.values()) == pytest.approx(whole)
    assert {"shared", "first", "middle", "up.0.0.residual", "down.0.1.temporal_attention"} <= set(parts)
