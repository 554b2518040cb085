"""The plans that the benchmark compares: the paper's, the planner's at equal cost, and the planner's smaller ones."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.core.files import write_atomically
from hummingbird.core.hashes import public_config
from hummingbird.core.parallel import ParallelMap
from hummingbird.core.progress import ProgressBar
from hummingbird.models.pipeline import TextToVideoPipeline
from hummingbird.models.unet import VideoUNet
from hummingbird.pruning.planner.cost import Cost, InputShape, model_cost, pass_milliseconds
from hummingbird.pruning.planner.importance import Calibration, memoized, plan_importance
from hummingbird.pruning.planner.make_plan import find_plan
from hummingbird.pruning.planner.search import search
from hummingbird.pruning.pruned_config import pruned_config
from hummingbird.pruning.pruning_plan import Plan, load_plan, whole_plan

TEACHER = "teacher"
FRAMES = 16


@dataclass(frozen=True)
class PlanCandidate:
    """A plan (none: the teacher), what it costs with its milliseconds, and the budget it was made for."""

    plan: Plan | None
    cost: Cost
    budget: Mapping[str, float]


def matched_name(paper: str, match: str) -> str:
    """The name of the planner's cut that costs what a cut of the paper costs."""
    return f"{match}-of-{paper}"


def find_plans(
    settings: Settings,
    pipeline: TextToVideoPipeline,
    teacher: Path,
    cache: Path,
    folder: Path,
    device: str,
    parallel: ParallelMap,
) -> tuple[dict[str, PlanCandidate], dict[str, str]]:
    """All plans by name, the teacher first, and by name why there is none for a budget of milliseconds.

    They are stored in ``folder``, and what is there is not made again.

    Milliseconds are measured in this process while the others wait; importance by ``parallel``.

    Raises:
        InputError: an unknown name of a plan, or a budget of parameters that cannot be met.
    """
    s, c = settings.plan_benchmark, settings.plan
    config = public_config(pipeline.unet.config)
    size, tokens = pipeline.latent_size, pipeline.family.text_tokens
    shape = InputShape(FRAMES, size, size, tokens)
    timed = InputShape(FRAMES, size, size, tokens, s.timed_batch_size)
    paper = {name: load_plan(name, config) for name in s.paper}
    clips = min(c.calibration_clips, s.clips)
    calibration = Calibration(cache, clips, c.calibration_timesteps, settings.seed, c.calibration_batch_size)
    importance = partial(plan_importance, teacher, calibration, device)

    def importances(plans: Mapping[str, Plan]) -> dict[str, list[float]]:
        return dict(zip(plans, parallel(importance, plans.values()), strict=True))

    choose = partial(search, config, measure=memoized(importances), rounds=c.rounds)

    def milliseconds(plans: Mapping[str, Plan]) -> dict[str, float]:
        unets = {name: VideoUNet(**pruned_config(plan, config)).to(device) for name, plan in plans.items()}
        return pass_milliseconds(unets, timed, s.warmup_passes, s.repeats)

    folder.mkdir(parents=True, exist_ok=True)
    whole = {TEACHER: whole_plan(config)}
    first = _stored(folder / "paper_milliseconds.json", lambda: milliseconds({**whole, **paper}))
    budgets: dict[str, dict[str, float]] = {}
    for name, plan in paper.items():
        equal = {
            "params": float(model_cost(pruned_config(plan, config), shape).parameters),
            "ms": first[name],
        }
        budgets |= {matched_name(name, match): {match: equal[match]} for match in s.match}
    budgets |= {f"params-{share:g}": {"params": share} for share in s.budgets}
    plans, unmet = {**whole, **paper}, {}
    for name, budget in ProgressBar(budgets.items(), desc="plans", unit="plan"):
        path = folder / f"{name}.yaml"
        if not path.is_file():
            try:
                cut, dropped, _ = find_plan(
                    config, timed, budget, choose, device, teacher_milliseconds=first[TEACHER]
                )
            except InputError as error:
                if "ms" not in budget:
                    raise
                unmet[name] = str(error)  # the other plans are compared all the same
                continue
            record = {"schema_version": 1, "budgets": budget, "dropped": [asdict(unit) for unit in dropped]}
            write_atomically(folder / f"{name}.json", json.dumps(record, indent=2).encode())
            named = cut.model_copy(update={"name": name})
            write_atomically(path, named.to_yaml().encode())
        plans[name] = load_plan(str(path), config)
    last = _stored(folder / "milliseconds.json", lambda: milliseconds(plans))
    candidates = {}
    for name, plan in plans.items():
        cost = model_cost(pruned_config(plan, config), shape)
        candidates[name] = PlanCandidate(
            None if name == TEACHER else plan,
            Cost(cost.parameters, cost.flop, last[name]),
            budgets.get(name, {}),
        )
    return candidates, unmet


def _stored(path: Path, make: Any) -> dict[str, float]:
    if not path.is_file():
        write_atomically(path, json.dumps(make(), indent=2).encode())
    stored: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
    return stored
