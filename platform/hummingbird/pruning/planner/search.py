"""The search for a plan under budgets: what matters least for what it costs goes first, measured again each round."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hummingbird.core.errors import InputError
from hummingbird.pruning.planner.cost import Cost
from hummingbird.pruning.planner.units import removals
from hummingbird.pruning.pruning_plan import Plan, whole_plan

Config = Mapping[str, Any]
Measure = Callable[[Mapping[str, Plan]], Mapping[str, list[float]]]
"""Importance at each timestep by the names of plans, as `Probe.importance` of each."""

BUDGETS = ("params", "flops", "ms")


@dataclass(frozen=True)
class Dropped:
    """A unit that went: in which round, and how far the output had moved with it alone gone besides."""

    unit: str
    round: int
    importance: float
    over_timesteps: tuple[float, ...]


def parse_budgets(budgets: tuple[str, ...]) -> dict[str, float]:
    """``params=0.55`` and the like, as numbers.

    Raises:
        InputError: an unknown or repeated name, or no positive number.
    """
    values: dict[str, float] = {}
    for budget in budgets:
        name, _, text = budget.partition("=")
        if name not in BUDGETS:
            raise InputError(f"budget '{budget}': name one of {', '.join(f'{name}=' for name in BUDGETS)}")
        if name in values:
            raise InputError(f"the budget of {name} stands twice: give it once")
        try:
            values[name] = float(text)
        except ValueError as error:
            raise InputError(f"budget '{budget}': '{text}' is no number") from error
        if not 0 < values[name] < float("inf"):
            raise InputError(f"budget '{budget}' must be a positive number")
    return values


def limits(budgets: Mapping[str, float], teacher: Cost) -> dict[str, float]:
    """Budgets as parameters, FLOP and milliseconds; params and flops up to 1 are shares of the teacher's."""
    whole = {"params": float(teacher.parameters), "flops": teacher.flop}
    return {
        name: value * whole[name] if name in whole and value <= 1 else value
        for name, value in budgets.items()
    }


def search(
    config: Config,
    cost: Callable[[Plan], Cost],
    budgets: Mapping[str, float],
    measure: Measure,
    rounds: int,
    name: str,
) -> tuple[Plan, list[Dropped]]:
    """A plan within all budgets.

    Each round measures every unit that could still go, on what is left, and takes away those that move the
    output least for what they save, until the round's share of the way to the budgets is gone. At the end,
    units are put back, the most important first, where the budgets allow it.

    Args:
        budgets: as `parse_budgets` returns them.
        measure: importance of plans.

    Returns:
        The plan, and what went, in order.

    Raises:
        InputError: no plan is that small.
    """
    plan = whole_plan(config, name)
    bounds = limits(budgets, cost(plan))
    _check_reachable(plan, config, cost, bounds)
    dropped: list[Dropped] = []
    start = _excess(cost(plan), bounds)
    for number in range(rounds):
        if not _excess(cost(plan), bounds):
            break
        goal = start * (rounds - 1 - number) / rounds
        options = removals(plan, config)
        measured = measure(options)
        order = sorted(options, key=lambda unit: _price(plan, options[unit], measured[unit], cost, bounds))
        for unit in order:
            if _excess(cost(plan), bounds) <= goal:
                break
            smaller = removals(plan, config).get(unit)
            if smaller is None or _excess(cost(smaller), bounds) >= _excess(cost(plan), bounds):
                continue  # it went with another, or has to stay now
            importance = measured[unit]
            dropped.append(Dropped(unit, number, sum(importance) / len(importance), tuple(importance)))
            plan = smaller
    while _excess(cost(plan), bounds):  # what the last round could not take, since it had to stay until then
        options = removals(plan, config)
        if not options:
            raise InputError(_unreachable(cost(plan), bounds))
        measured = measure(options)
        unit = min(options, key=lambda unit: _price(plan, options[unit], measured[unit], cost, bounds))
        importance = measured[unit]
        dropped.append(Dropped(unit, rounds, sum(importance) / len(importance), tuple(importance)))
        plan = options[unit]
    return _put_back(config, name, cost, bounds, dropped)


def drop_by_worth(
    config: Config,
    cost: Callable[[Plan], Cost],
    budgets: Mapping[str, float],
    worth: Mapping[str, float],
    name: str,
) -> tuple[Plan, list[Dropped]]:
    """A plan within all budgets: units go by what they are worth, the least first, until the budgets are met.

    What can be halved again goes a second time after all others went once. At the end, units are put back as in
    `search`.

    Args:
        worth: of units of the whole plan, with their costs already in it; others are worth most.

    Raises:
        InputError: no plan is that small.
    """
    plan = whole_plan(config, name)
    bounds = limits(budgets, cost(plan))
    _check_reachable(plan, config, cost, bounds)
    dropped: list[Dropped] = []
    times: Counter[str] = Counter()
    while excess := _excess(cost(plan), bounds):
        options = removals(plan, config)
        saving = [unit for unit in options if _excess(cost(options[unit]), bounds) < excess]
        if not saving:
            raise InputError(_unreachable(cost(plan), bounds))
        unit = min(saving, key=lambda unit: (times[unit], worth.get(unit, 1.0)))
        dropped.append(Dropped(unit, times[unit], worth.get(unit, 1.0), ()))
        times[unit] += 1
        plan = options[unit]
    return _put_back(config, name, cost, bounds, dropped)


def _put_back(
    config: Config,
    name: str,
    cost: Callable[[Plan], Cost],
    bounds: Mapping[str, float],
    dropped: list[Dropped],
) -> tuple[Plan, list[Dropped]]:
    """Goes through what went, from the most important, and keeps what the budgets have room for."""
    for unit in sorted(dropped, key=lambda other: -other.importance):
        fewer = [other for other in dropped if other is not unit]
        plan = _apply(config, name, fewer)
        if plan is not None and not _excess(cost(plan), bounds):
            dropped = fewer
    plan = _apply(config, name, dropped)
    assert plan is not None  # it is what the search arrived at, or a part of it that was tried
    return plan, dropped


def _apply(config: Config, name: str, dropped: list[Dropped]) -> Plan | None:
    plan = whole_plan(config, name)
    for entry in dropped:
        smaller = removals(plan, config).get(entry.unit)
        if smaller is None:
            return None
        plan = smaller
    return plan


def _excess(cost: Cost, bounds: Mapping[str, float]) -> float:
    """How far the costs are above the budgets, as a share of each, the worst of them; 0 within."""
    has = {"params": float(cost.parameters), "flops": cost.flop, "ms": cost.milliseconds}
    over = []
    for name, bound in bounds.items():
        value = has[name]
        if value is None:
            raise InputError("a budget of ms needs the milliseconds measured on a device")
        over.append(max(value / bound - 1, 0.0))
    return max(over)


def _price(
    plan: Plan,
    smaller: Plan,
    importance: list[float],
    cost: Callable[[Plan], Cost],
    bounds: Mapping[str, float],
) -> float:
    """Importance for each part of the way to the budgets that the unit's going makes."""
    saved = 0.0
    before, after = cost(plan), cost(smaller)
    for name in bounds:
        bound = {name: bounds[name]}
        saved += _excess(before, bound) - _excess(after, bound)
    return sum(importance) / len(importance) / saved if saved > 0 else float("inf")


def _check_reachable(
    plan: Plan, config: Config, cost: Callable[[Plan], Cost], bounds: Mapping[str, float]
) -> None:
    """Takes away all that can go: what is left is the least there is."""
    while options := removals(plan, config):
        if not _excess(cost(plan), bounds):
            return
        # Whole layers first, so that few steps lead down.
        plan = options[min(options, key=lambda unit: (unit.count("."), unit))]
    if _excess(cost(plan), bounds):
        raise InputError(_unreachable(cost(plan), bounds))


def _unreachable(least: Cost, bounds: Mapping[str, float]) -> str:
    has = {"params": float(least.parameters), "flops": least.flop, "ms": least.milliseconds}
    worst = [f"{name}={bound:.4g} (the least is {has[name]:.4g})" for name, bound in bounds.items()]
    return f"no plan meets the budget {', '.join(worst)}: the first layer of each stage has to stay; raise it"
