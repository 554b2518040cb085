from collections.abc import Mapping
from typing import Any

import pytest
from hummingbird.core.errors import InputError
from hummingbird.models.architectures import unet_config
from hummingbird.pruning.planner.cost import Cost, InputShape, model_cost, part_costs
from hummingbird.pruning.planner.ledger import CostLedger
from hummingbird.pruning.planner.search import limits, parse_budgets, search
from hummingbird.pruning.planner.units import removals
from hummingbird.pruning.pruned_config import pruned_config
from hummingbird.pruning.pruning_plan import (
    FIRST,
    Narrow,
    Plan,
    load_plan,
    whole_plan,
)

CONFIG: dict[str, Any] = unet_config(
    (16, 24), head_size=8, text_width=8, norm_groups=8, first_temporal_heads=1
)
SHAPE = InputShape(2, 4, 4, 3)


@pytest.fixture(scope="module")
def ledger() -> CostLedger:
    milliseconds = {part: cost.flop / 1e6 for part, cost in part_costs(CONFIG, SHAPE).items()}
    return CostLedger(CONFIG, SHAPE, milliseconds)


def near_the_end_matters_most(plans: Mapping[str, Plan]) -> dict[str, list[float]]:
    return {unit: [10.0 if unit.startswith("up") else 1.0, 0.0] for unit in plans}


def test_the_ledger_says_what_the_plans_own_configuration_costs(ledger: CostLedger) -> None:
    whole = whole_plan(CONFIG)
    rich = whole.model_copy(
        update={
            "middle": False,
            "drop": ["up.1.2.temporal_conv", FIRST],
            "narrow": {"down.0.0": Narrow(heads=1), "up.1.0": Narrow(heads=1, feed_forward=32)},
        }
    )
    for plan in (whole, load_plan("hummingbird-0.7b", CONFIG), rich):
        exact, estimated = model_cost(pruned_config(plan, CONFIG), SHAPE), ledger(plan)
        assert estimated.parameters == exact.parameters
        assert estimated.flop == pytest.approx(exact.flop)


def test_units_leave_out_what_the_widths_hold_in_place() -> None:
    units = removals(whole_plan(CONFIG), CONFIG)
    assert {"middle", FIRST, "down.0.1", "down.0.1.spatial_attention", "down.0.1.heads"} <= set(units)
    assert "down.1.0" not in units  # its input has another width
    assert "up.1.0" not in units
    for name, plan in units.items():
        assert pruned_config(plan, CONFIG), name
    gone = units["down.0.1"]
    assert not [unit for unit in removals(gone, CONFIG) if unit.startswith("down.0.1")]


@pytest.mark.parametrize(
    "budgets", [{"params": 0.6}, {"flops": 0.5}, {"ms": 0.4}, {"params": 0.7, "flops": 0.5}]
)
def test_a_found_plan_meets_every_budget_and_spares_what_matters(
    ledger: CostLedger, budgets: dict[str, float]
) -> None:
    whole = ledger(whole_plan(CONFIG))
    assert whole.milliseconds is not None
    if "ms" in budgets:
        budgets = {"ms": budgets["ms"] * whole.milliseconds}
    plan, dropped = search(CONFIG, ledger, budgets, near_the_end_matters_most, rounds=3, name="found")
    cost, bounds = ledger(plan), limits(budgets, whole)
    has = {"params": cost.parameters, "flops": cost.flop, "ms": cost.milliseconds}
    assert all(has[name] <= bound for name, bound in bounds.items())
    assert dropped
    assert dropped[0].importance == 0.5
    assert plan.name == "found"


def test_what_does_not_matter_goes_first(ledger: CostLedger) -> None:
    plan, _ = search(
        CONFIG,
        ledger,
        {"params": 0.99},
        lambda plans: {unit: [0.0 if unit == "middle" else 1.0] for unit in plans},
        rounds=1,
        name="found",
    )
    assert not plan.middle
    assert plan == whole_plan(CONFIG, "found").model_copy(update={"middle": False})


def test_a_budget_that_cannot_be_met_is_refused_with_the_least(ledger: CostLedger) -> None:
    with pytest.raises(InputError, match=r"no plan meets the budget params=.*the least is"):
        search(CONFIG, ledger, {"params": 0.01}, near_the_end_matters_most, rounds=2, name="found")


@pytest.mark.parametrize(
    ("budgets", "message"),
    [
        (("memory=3",), "name one of params="),
        (("params=0.5", "params=0.6"), "stands twice"),
        (("params=half",), "'half' is no number"),
        (("flops=-1",), "must be a positive number"),
        (("flops=nan",), "must be a positive number"),
    ],
)
def test_a_bad_budget_is_refused(budgets: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_budgets(budgets)


def test_budgets_are_shares_or_numbers() -> None:
    teacher = Cost(1000, 4e9, 20.0)
    assert limits(parse_budgets(("params=0.55", "flops=2e9", "ms=7")), teacher) == {
        "params": 550.0,
        "flops": 2e9,
        "ms": 7.0,
    }
