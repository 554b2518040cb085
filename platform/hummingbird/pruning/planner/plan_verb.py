"""The verb ``plan``: what a plan costs and where it fits; under a budget, a new plan."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch

from hummingbird.config.settings import Settings
from hummingbird.core.devices import describe_device
from hummingbird.core.errors import InputError
from hummingbird.lake.runs import load_result
from hummingbird.models.stages import UNetSpec
from hummingbird.pruning.planner.clock import Clock
from hummingbird.pruning.planner.cost import InputShape
from hummingbird.pruning.planner.cost_report import cost_report
from hummingbird.pruning.planner.memory_use import Use
from hummingbird.pruning.planner.planned_models import PlannedModel, planned_model
from hummingbird.pruning.pruned_config import pruned_config
from hummingbird.pruning.pruning_plan import Plan, load_plan
from hummingbird.training.methods.base import MethodCost
from hummingbird.training.rewards.base import RewardDeclaration
from hummingbird.training.rewards.term import declaration, resolve_rewards
from hummingbird.training.training_stage import resolve_method

TIMED_FLOP = 0.2e12
"""FLOP of a pass up to which a CPU is timed without being asked to."""


def plan(settings: Settings) -> dict[str, Any]:
    """The report of a plan; with ``plan.budget``, of a new one, whose files it names.

    Raises:
        InputError: see `describe` and `hummingbird.pruning.planner.make_plan.make_plan`.
    """
    if not settings.plan.budget:
        return describe(settings)
    from hummingbird.pruning.planner.make_plan import make_plan

    model = planned_model(settings.plan.model)
    result = make_plan(settings, model, video_shape(settings, model))
    run_result = load_result(result)
    report = describe(settings, run_result["outputs"]["plan"])
    for name in ("teacher", "student"):
        if run_result["metrics"][name]["milliseconds"] is not None:
            report["costs"][name]["milliseconds"] = run_result["metrics"][name]["milliseconds"]
    return {**report, "files": {"plan": run_result["outputs"]["plan"], "result": str(result)}}


def describe(settings: Settings, plan: str | None = None) -> dict[str, Any]:
    """The report of ``plan.plan`` (or of ``plan``, a name or a file) for ``plan.model``.

    Raises:
        InputError: no such model or plan, a plan that does not fit the model, or a size that is no multiple
            of what the model needs.
    """
    s = settings.plan
    model = planned_model(s.model)
    use = Use(
        method=s.method,
        gpus=s.gpus,
        zero_stage=s.zero_stage,
        batch=s.batch_size,
        precision=s.mixed_precision,
        checkpointing=s.gradient_checkpointing,
        offload=settings.training.offload_optimizer,
        decoder=s.decoder,
    )
    chosen, shape = load_plan(plan or s.plan, model.unet), video_shape(settings, model)
    rewards = training_rewards(settings, model)
    report = cost_report(
        model,
        chosen,
        shape,
        use,
        s.gpu_memory,
        training_cost(settings, bool(rewards)),
        rewards,
        settings.distill.lora if s.method == "distill" else settings.feedback.lora,
    )
    return {**report, "timing": _timing(s.timing, report["costs"], model, chosen, shape)}


def _timing(
    mode: str, costs: dict[str, dict[str, Any]], model: PlannedModel, plan: Plan, shape: InputShape
) -> dict[str, Any]:
    """Writes the milliseconds of a pass into ``costs`` (None where they are not taken); says where, or why not."""
    gpu = torch.cuda.is_available()
    heavy = costs["teacher"]["flop_per_pass"] > TIMED_FLOP and not gpu
    if mode == "off" or (mode == "auto" and heavy):
        for cost in costs.values():
            cost["milliseconds"] = None
        reason = "plan.timing=off" if mode == "off" else "a pass is long on this CPU; plan.timing=on takes it"
        return {"device": None, "reason": reason}
    clock = Clock(model.unet, shape, "cuda" if gpu else "cpu")
    student = clock(pruned_config(plan, model.unet))
    costs["teacher"]["milliseconds"], costs["student"]["milliseconds"] = clock.teacher, student
    return {"device": describe_device(), "reason": None}


def video_shape(settings: Settings, model: PlannedModel) -> InputShape:
    """Latents and text of one video as the settings ask for it.

    Raises:
        InputError: height or width is no multiple of what the U-Net halves.
    """
    height, width = settings.plan.height or model.size[0], settings.plan.width or model.size[1]
    step = model.scale * 2 ** UNetSpec.of(model.unet).halvings
    for name, size in (("height", height), ("width", width)):
        if size % step:
            raise InputError(f"plan.{name}={size}: {model.name} needs a multiple of {step} pixels")
    return InputShape(
        settings.plan.num_frames, height // model.scale, width // model.scale, model.text_tokens
    )


def training_cost(settings: Settings, rewarded: bool) -> Callable[[int], MethodCost]:
    """What a step of a batch costs with the method of the verb that ``plan.method`` names.

    Raises:
        InputError: there is no such method.
    """
    verb = "distill" if settings.plan.method == "distill" else "feedback"
    method = resolve_method(f"{verb}.method", getattr(settings, verb).method)
    return partial(method.kind.cost, method.settings, rewarded=rewarded)


def training_rewards(settings: Settings, model: PlannedModel) -> Mapping[str, RewardDeclaration]:
    """What the rewards of feedback declare: those that the model is published with, or those of the settings.

    Raises:
        InputError: there is no such reward.
    """
    if settings.plan.method != "feedback":
        return {}
    if model.rewards:
        return model.rewards
    rewards = resolve_rewards("feedback.rewards", settings.feedback.rewards)
    return {reward.name: declaration(reward) for reward in rewards}
