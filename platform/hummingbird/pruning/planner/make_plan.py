"""Makes a plan under a budget: importance on calibration clips across Ray workers, costs, and the search."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any, Protocol

from hummingbird.config.settings import Settings
from hummingbird.core.devices import resolve_device
from hummingbird.core.errors import InputError
from hummingbird.core.files import as_path, write_atomically
from hummingbird.core.hashes import weights_hash
from hummingbird.lake.lineage import latest_output
from hummingbird.lake.runs import open_run
from hummingbird.models.pipeline import load_pipeline
from hummingbird.pruning.planner.clock import Clock
from hummingbird.pruning.planner.cost import Cost, InputShape
from hummingbird.pruning.planner.importance import Calibration, Workers, load_probe, memoized, with_progress
from hummingbird.pruning.planner.learned_choice import GateJob, LearnedChoice
from hummingbird.pruning.planner.ledger import CostLedger
from hummingbird.pruning.planner.planned_models import PlannedModel
from hummingbird.pruning.planner.search import Dropped, Measure, limits, parse_budgets, search
from hummingbird.pruning.pruned_config import pruned_config
from hummingbird.pruning.pruning_plan import Plan, whole_plan

Config = Mapping[str, Any]


class Choose(Protocol):
    """How a plan within budgets is found, with the costs of plans and the plan's name; returns also what went."""

    def __call__(
        self, *, cost: CostLedger, budgets: Mapping[str, float], name: str
    ) -> tuple[Plan, list[Dropped]]: ...


TRIES = 5
"""Times that a plan is searched for, each under a tighter limit, until its measured milliseconds are in budget."""


def make_plan(settings: Settings, model: PlannedModel, shape: InputShape) -> Path:
    """A plan within ``plan.budget`` for ``plan.model``; returns ``result.json`` of its run.

    The run folder holds ``plan.yaml`` and ``importance.json``: what went, in order, and how far the output
    moved at each timestep.

    Raises:
        InputError: a bad budget or one that cannot be met, a model without weights, or no cache of latents.
    """
    from hummingbird.lake.lake import Lake

    s = settings.plan
    budgets = parse_budgets(s.budget)
    if model.folder is None:
        raise InputError(
            f"a plan under a budget is made by looking at weights: import {model.name} and give its folder "
            "as plan.model"
        )
    cache = as_path(settings.training.cache or latest_output(Lake.open(settings), "encode", "cache"))
    inputs = {"teacher": weights_hash(load_pipeline(model.folder).unet), "cache": str(cache)}
    calibration = Calibration(
        cache, s.calibration_clips, s.calibration_timesteps, settings.seed, s.calibration_batch_size
    )
    with open_run(settings, "plan", inputs=inputs) as run:
        measuring = partial(_measuring, settings, model.folder, calibration)

        def measure_alone(plans: Mapping[str, Plan]) -> Mapping[str, list[float]]:
            with measuring() as measure:
                return measure(plans)

        # Beside the training of gates nothing holds what its workers need.
        by_gates = s.importance != "measured"
        with nullcontext(measure_alone) if by_gates else measuring() as measure:
            choose: Choose = partial(search, model.unet, measure=measure, rounds=s.rounds)
            if by_gates:
                job = GateJob(settings, model.folder, cache, run.folder)
                choose = LearnedChoice(job, model.unet, measure if s.importance == "both" else None)
            plan, dropped, costs = find_plan(model.unet, shape, budgets, choose)
            change = measure({plan.name: plan})[plan.name]
        write_atomically(run.folder / "plan.yaml", plan.to_yaml().encode())
        record = {"schema_version": 1, "budgets": budgets, "dropped": [asdict(unit) for unit in dropped]}
        write_atomically(run.folder / "importance.json", json.dumps(record, indent=2).encode())
        run.outputs.update(plan=run.folder / "plan.yaml", importance=run.folder / "importance.json")
        run.metrics.update({name: asdict(cost) for name, cost in costs.items()}, change=fmean(change))
    return run.result_path


def find_plan(
    config: Config,
    shape: InputShape,
    budgets: Mapping[str, float],
    choose: Choose,
    device: str | None = None,
    teacher_milliseconds: float | None = None,
) -> tuple[Plan, list[Dropped], dict[str, Cost]]:
    """A plan within the budgets, what went, and the costs of ``teacher`` and ``student``.

    Args:
        config: the teacher's.
        shape: of the pass whose FLOP and milliseconds count.
        choose: how a plan is found, as `hummingbird.pruning.planner.search.search` does.
        device: where a budget of milliseconds is kept; none: a GPU where there is one.
        teacher_milliseconds: what the teacher is taken to need; none: what it is measured to. Students are timed
            in turns with the teacher and count in proportion to it, since a machine is now faster, now slower.

    Raises:
        InputError: the budgets cannot be met.
    """
    device = device or resolve_device()
    parts, clock = None, None
    if "ms" in budgets:
        clock = Clock(config, shape, device, teacher_milliseconds)
        parts = clock.parts
    ledger = CostLedger(config, shape, parts)
    teacher = ledger(whole_plan(config))
    name = "-".join(f"{key}-{value:g}" for key, value in budgets.items())
    bounds = dict(budgets)
    for attempt in range(TRIES):
        try:
            plan, dropped = choose(cost=ledger, budgets=bounds, name=name)
        except InputError:
            if not attempt:
                raise
            break  # the limit, not the budget, cannot be met
        cost = ledger(plan)
        if clock is None:
            return plan, dropped, {"teacher": teacher, "student": cost}
        milliseconds = clock(pruned_config(plan, config))
        if (
            milliseconds > limits(budgets, teacher)["ms"]
        ):  # what else the machine did may have hit this student alone
            milliseconds = min(milliseconds, clock(pruned_config(plan, config)))
        if milliseconds <= limits(budgets, teacher)["ms"]:
            cost = Cost(cost.parameters, cost.flop, milliseconds)
            return plan, dropped, {"teacher": teacher, "student": cost}
        # The parts' milliseconds promised more than the whole kept.
        bounds["ms"] *= 0.98 * budgets["ms"] / milliseconds
    raise InputError(
        f"the budget ms={budgets['ms']:g} is not kept: the smallest plan that was tried still takes "
        f"{milliseconds:.4g} ms; raise it, or measure where nothing else runs"
    )


@contextmanager
def _measuring(settings: Settings, teacher: Path, calibration: Calibration) -> Iterator[Measure]:
    """Importance, measured in this process or by Ray workers, which are held until the end."""
    if settings.training.engine == "process":
        probe = load_probe(teacher, calibration, resolve_device())
        yield memoized(
            lambda plans: {
                name: probe.importance(plan) for name, plan in with_progress(plans.items(), len(plans))
            }
        )
        return
    workers = Workers(teacher, calibration, settings.plan.workers, settings.ray)
    try:
        yield memoized(workers.importance)
    finally:
        workers.close()
