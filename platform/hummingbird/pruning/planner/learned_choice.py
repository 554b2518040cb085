"""A plan by learned gates: the training job, and what goes by its result."""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from hummingbird.config.settings import Settings
from hummingbird.core.files import AnyPath
from hummingbird.models.pipeline import load_pipeline
from hummingbird.pruning.planner.cost import Cost
from hummingbird.pruning.planner.gates import GATES, GateBudgets, GatedUNet, GateLearning, start_logits
from hummingbird.pruning.planner.search import Dropped, Measure, drop_by_worth, limits
from hummingbird.pruning.planner.units import removals
from hummingbird.pruning.pruning_plan import Plan, whole_plan
from hummingbird.training.data import cached_latents
from hummingbird.training.latent_cache import LatentCache
from hummingbird.training.loop import TrainingJob
from hummingbird.training.methods.base import Method, MethodInputs
from hummingbird.training.trainer import train

Config = Mapping[str, Any]


@dataclass(frozen=True)
class GateJob:
    """What gates are trained on: the teacher's pipeline folder, a cache, and the run's folder."""

    settings: Settings
    teacher: Path
    cache: AnyPath
    folder: Path

    def run(self, budgets: GateBudgets, order: list[str]) -> dict[str, float]:
        """Trains, and returns by unit how probably its gate is open.

        Args:
            order: units that begin the likelier closed the earlier they stand; empty: all begin open.
        """
        chosen = self.settings.plan.gates
        job = TrainingJob(
            name="gates",
            build=partial(_build, self, budgets, order),
            data=partial(cached_latents, self.cache, chosen.batch_size, self.settings.seed),
            folder=self.folder,
            steps=chosen.steps,
            minutes=chosen.minutes,
            learning_rate=chosen.learning_rate,
            seed=self.settings.seed,
            training=self.settings.training,
        )
        text = (train(job, self.settings.ray) / GATES).read_text(encoding="utf-8")
        shutil.rmtree(self.folder / "unet")
        (self.folder / GATES).write_text(text, encoding="utf-8")
        shares: dict[str, float] = json.loads(text)
        return shares


@dataclass
class LearnedChoice:
    """Finds a plan by gates, which are trained at the first call: later ones have tighter limits.

    Args:
        measure: importance of plans, in whose order gates begin; none: all begin open.
    """

    job: GateJob
    config: Config
    measure: Measure | None = None
    _worth: dict[str, float] = field(default_factory=dict)

    def __call__(
        self, *, cost: Callable[[Plan], Cost], budgets: Mapping[str, float], name: str
    ) -> tuple[Plan, list[Dropped]]:
        """As `hummingbird.pruning.planner.search.search`."""
        if not self._worth:
            options = removals(whole_plan(self.config), self.config)
            order: list[str] = []
            if self.measure is not None:
                measured = self.measure(options)
                order = sorted(options, key=lambda unit: fmean(measured[unit]))
            self._worth = self.job.run(gate_budgets(self.config, options, cost, budgets), order)
        return drop_by_worth(self.config, cost, budgets, self._worth, name)


def gate_budgets(
    config: Config, options: Mapping[str, Plan], cost: Callable[[Plan], Cost], budgets: Mapping[str, float]
) -> GateBudgets:
    """What each of the plans ``options`` saves, and the budgets, as shares of the teacher's cost."""
    whole = cost(whole_plan(config))
    bounds = limits(budgets, whole)

    def amounts(of: Cost) -> dict[str, float]:
        known = {"params": float(of.parameters), "flops": of.flop, "ms": of.milliseconds or 0.0}
        return {name: known[name] for name in bounds}

    total = amounts(whole)
    smaller = {unit: amounts(cost(plan)) for unit, plan in options.items()}
    savings = {
        name: {unit: 1 - left[name] / total[name] for unit, left in smaller.items()} for name in bounds
    }
    return GateBudgets(savings, {name: bound / total[name] for name, bound in bounds.items()})


def _build(job: GateJob, budgets: GateBudgets, order: list[str], device: torch.device) -> Method:
    pipeline = load_pipeline(job.teacher)
    unet: Any = pipeline.unet.to(device)
    units = list(next(iter(budgets.savings.values())))
    gated = GatedUNet(unet, units, start_logits(units, order).to(device))
    empty = LatentCache(job.cache).empty_text
    inputs = MethodInputs(unet, unet, pipeline.scheduler, pipeline.scheduler, empty)
    return GateLearning(job.settings.plan.gates, inputs, gated, budgets)
