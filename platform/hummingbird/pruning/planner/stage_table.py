"""Memory and time of a recipe's training stages on usual GPUs, and what to change where one does not fit."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from hummingbird.config.feedback import FeedbackSettings
from hummingbird.config.loading import verb_settings
from hummingbird.config.settings import Settings
from hummingbird.pruning.planner.cost import InputShape
from hummingbird.pruning.planner.cost_report import costs, step_flop
from hummingbird.pruning.planner.fit import GIB, USABLE, verdict
from hummingbird.pruning.planner.memory_use import MemoryModel, Use
from hummingbird.pruning.planner.plan_verb import training_rewards, video_shape
from hummingbird.pruning.planner.planned_models import PlannedModel, planned_model
from hummingbird.pruning.pruned_config import pruned_config
from hummingbird.pruning.pruning_plan import load_plan
from hummingbird.training.training_stage import resolve_method

StageName = Literal["distill", "feedback"]
STAGES: tuple[StageName, ...] = ("distill", "feedback")
STAND_IN = "hummingbird-0.7b"
"""Reckoned with in place of a plan that the recipe itself has made."""


@dataclass(frozen=True)
class UsualGpu:
    """A GPU that is sold: memory in GiB, TFLOP/s of matrix products in bf16 (dense, by its data sheet), and the share
    of them that a training is assumed to reach."""

    name: str
    memory: int
    teraflops: float
    share: float


USUAL_GPUS = (
    UsualGpu("RTX 4090", 24, 165, 0.4),
    UsualGpu("L40S", 48, 362, 0.4),
    UsualGpu("H100", 80, 989, 0.4),
    UsualGpu("MI300X", 192, 1307, 0.3),
)


@dataclass(frozen=True)
class StageCost:
    """A stage on a number of GPUs of one kind.

    Attributes:
        peak: bytes of one GPU, as the recipe says.
        fits: whether that is in its memory.
        advice: what to change where it is not, in order; empty where nothing is enough.
        step_seconds: of an optimizer step, with its accumulation; decoder and rewards are not counted.
        hours: of all steps.
    """

    stage: StageName
    gpu: UsualGpu
    count: int
    peak: int
    fits: bool
    advice: tuple[str, ...]
    step_seconds: float
    hours: float


def recipe_model(settings: Settings) -> PlannedModel:
    """The teacher: the published one where the line imports it, else ``models.teacher``."""
    imported = (
        "import_checkpoint" in settings.line.verbs and settings.import_checkpoint.format == "videocrafter2"
    )
    return planned_model("videocrafter2" if imported else settings.models.teacher)


def stage_costs(settings: Settings, gpus: tuple[UsualGpu, ...] = USUAL_GPUS) -> Iterator[StageCost]:
    """Every stage of a recipe's line on ``training.workers`` of each GPU.

    Raises:
        InputError: a plan, method or reward of the settings cannot be used.
    """
    model = recipe_model(settings)
    for stage in STAGES:
        if stage in settings.line.verbs:
            yield from _stage_costs(verb_settings(settings, stage), stage, model, gpus)


def _stage_costs(
    settings: Settings, stage: StageName, model: PlannedModel, gpus: tuple[UsualGpu, ...]
) -> Iterator[StageCost]:
    chosen, training = getattr(settings, stage), settings.training
    planned = settings.plan.model_copy(
        update={"method": stage, "num_frames": chosen.num_frames or settings.encode.num_frames}
    )
    asked = settings.model_copy(update={"plan": planned})
    shape: InputShape = video_shape(asked, model)
    plan = load_plan(STAND_IN if "plan" in settings.line.verbs else settings.prune.plan, model.unet)
    rewards = training_rewards(asked, model)
    method = resolve_method(f"{stage}.method", chosen.method)
    cost = partial(method.kind.cost, method.settings, rewarded=bool(rewards))
    memory = MemoryModel(model, pruned_config(plan, model.unet), shape, cost, rewards)
    use = Use(
        method=stage,
        gpus=training.workers,
        zero_stage=training.zero_stage,
        batch=chosen.batch_size,
        precision="fp32" if training.mixed_precision == "fp32" else "bf16",
        checkpointing=training.gradient_checkpointing,
        offload=training.offload_optimizer,
        decoder=chosen.decoder if isinstance(chosen, FeedbackSettings) else "small",
    )
    table = costs(model, plan, shape)
    flop = step_flop(cost(use.batch), use.batch, table, use.checkpointing) * training.gradient_accumulation
    for gpu in gpus:
        fit = verdict(use, memory.estimate, gpu.memory)
        seconds = flop / (gpu.teraflops * 1e12 * gpu.share)
        enough = fit.fits or (bool(fit.changes) and fit.changes[-1][1] <= gpu.memory * GIB * USABLE)
        advice = _last_of_each(words for words, _ in fit.changes) if enough else ()
        peak = memory.estimate(use).peak
        hours = seconds * chosen.steps / 3600
        yield StageCost(stage, gpu, training.workers, peak, fit.fits, advice, seconds, hours)


def _last_of_each(changes: Iterable[str]) -> tuple[str, ...]:
    """Changes without those that a later one of their kind goes beyond: 4, 2, 1 videos a GPU."""
    last = {words.lstrip("0123456789 ").split("(")[0]: words for words in changes}
    return tuple(last.values())


def stage_table(rows: Mapping[str, list[StageCost]]) -> str:
    """The table in Markdown, by recipe."""
    lines = [
        "| recipe | stage | GPUs | GiB a GPU | fits | s a step | hours | else |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for recipe, stages in rows.items():
        for row in stages:
            advice = "" if row.fits else "; ".join(row.advice) or "a larger GPU, or fewer frames"
            cells: list[Any] = [
                recipe,
                row.stage,
                f"{row.count} x {row.gpu.name} ({row.gpu.memory})",
                f"{row.peak / GIB:.1f}",
                "yes" if row.fits else "no",
                f"{row.step_seconds:.3g}",
                f"{row.hours:.3g}",
                advice,
            ]
            lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)
