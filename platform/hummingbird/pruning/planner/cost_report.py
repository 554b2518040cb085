"""What the planner says of a model and a plan, as JSON and as a table for a terminal."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

from hummingbird.config.lora import LoRASettings
from hummingbird.pruning.planner.cost import InputShape, model_cost, reference_extra_flop
from hummingbird.pruning.planner.fit import GIB, USABLE, verdict
from hummingbird.pruning.planner.memory_use import Memory, MemoryModel, Use
from hummingbird.pruning.planner.plan_lines import picture_lines
from hummingbird.pruning.planner.planned_models import PlannedModel
from hummingbird.pruning.pruned_config import pruned_config
from hummingbird.pruning.pruning_plan import Plan
from hummingbird.training.methods.base import MethodCost
from hummingbird.training.rewards.base import RewardDeclaration

SCHEMA_VERSION = 1


def costs(model: PlannedModel, plan: Plan, shape: InputShape) -> dict[str, dict[str, float]]:
    """Parameters and FLOP a pass of teacher and student."""
    table = {}
    for name, config in (("teacher", model.unet), ("student", pruned_config(plan, model.unet))):
        cost = model_cost(config, shape)
        table[name] = {
            "parameters": cost.parameters,
            "flop_per_pass": cost.flop,
            # The published code makes the text's keys and values anew for every frame.
            "flop_per_pass_reference": cost.flop + reference_extra_flop(config, shape),
        }
    return table


def step_flop(
    cost: MethodCost, batch: int, table: Mapping[str, Mapping[str, float]], checkpointing: bool
) -> float:
    """FLOP of one step of a method on one GPU: a backward pass counts as two forward passes.

    Decoder and rewards are not counted.
    """
    teacher, student = table["teacher"]["flop_per_pass"], table["student"]["flop_per_pass"]
    trained = 4 if checkpointing else 3
    others = [student if whose == "student" else teacher for whose in cost.networks[1:]]
    return batch * (
        cost.teacher_passes * teacher
        + cost.student_passes * student
        + trained * (cost.trained_passes * student + cost.other_updates * sum(others))
    )


def cost_report(
    model: PlannedModel,
    plan: Plan,
    shape: InputShape,
    use: Use,
    gpu_memory: float,
    method: Callable[[int], MethodCost],
    rewards: Mapping[str, RewardDeclaration] | None = None,
    lora: LoRASettings | None = None,
) -> dict[str, Any]:
    """Everything about one use of one plan, as JSON.

    Args:
        shape: of one video.
        gpu_memory: of one GPU in GiB.
        method: what a step of a batch costs with the method that trains.
        rewards: what the rewards in training declare, by name.
        lora: the student's adapters, where it has them.
    """
    rewards = rewards or {}
    table = costs(model, plan, shape)
    memory = MemoryModel(model, pruned_config(plan, model.unet), shape, method, rewards, lora)
    chosen = memory.estimate(use)
    fit = verdict(use, memory.estimate, gpu_memory)
    report = {
        "schema_version": SCHEMA_VERSION,
        "model": model.name,
        "plan": plan.model_dump(),
        "picture": picture_lines(plan, model.unet),
        "shape": asdict(shape),
        "use": asdict(use),
        "costs": table,
        "flop_per_step": step_flop(method(use.batch), use.batch, table, use.checkpointing)
        if use.trains
        else use.batch * table["student"]["flop_per_pass"],
        "rewards": {
            name: {"frames": reward.frames, "drawn": reward.drawn, "licence": reward.licence}
            for name, reward in rewards.items()
        },
        "memory": chosen.as_json(),
        "verdict": {**asdict(fit), "gpu_memory_gib": gpu_memory},
    }
    if use.trains:
        report["by_zero_stage"] = {
            str(stage): _shares(memory.estimate(replace(use, zero_stage=stage))) for stage in range(4)
        }
        report["activations"] = {
            name: memory.estimate(replace(use, checkpointing=on)).activations
            for name, on in (("without_checkpointing", False), ("with_checkpointing", True))
        }
    return report


def _shares(memory: Memory) -> dict[str, int]:
    return {key: memory.as_json()[key] for key in ("weights", "gradients", "optimizer", "buckets", "peak")}


def text_report(report: Mapping[str, Any]) -> str:
    """The report as a table."""
    use, shape, memory = report["use"], report["shape"], report["memory"]
    teacher, student = report["costs"]["teacher"], report["costs"]["student"]
    lines = [
        f"{report['model']} by plan {report['plan']['name']}, {shape['frames']} frames of "
        f"{shape['height']} x {shape['width']} latents",
        "",
        f"{'':24}{'teacher':>16}{'student':>16}{'share':>9}",
        _row("parameters", teacher["parameters"], student["parameters"], ",d"),
        _row("TFLOP a pass", teacher["flop_per_pass"] / 1e12, student["flop_per_pass"] / 1e12, ".4g"),
        _row(
            "  as published code",
            teacher["flop_per_pass_reference"] / 1e12,
            student["flop_per_pass_reference"] / 1e12,
            ".4g",
        ),
    ]
    timing = report["timing"]
    if student["milliseconds"] is None:
        lines.append(f"{'milliseconds a pass':24}not measured: {timing['reason']}")
    else:
        lines.append(_row("milliseconds a pass", teacher["milliseconds"], student["milliseconds"], ".4g"))
        lines.append(f"  on {timing['device']}")
    lines += ["", *report["picture"]]
    lines += [
        "",
        f"{use['method']}: batch {use['batch']} on each of {use['gpus']} GPUs, {use['precision']}, "
        f"ZeRO {use['zero_stage']}, checkpointing {'on' if use['checkpointing'] else 'off'}",
        f"  {report['flop_per_step'] / 1e12:.4g} TFLOP a step and GPU, decoder and rewards not counted",
        *(f"  reward {name}: {_described(reward)}" for name, reward in report["rewards"].items()),
        "",
        "GiB of a GPU",
    ]
    lines += [f"  {key.replace('_', ' '):22}{_gib(size)}" for key, size in memory.items() if size]
    if "by_zero_stage" in report:
        lines += ["", f"{'by ZeRO stage':24}{'gradients':>10}{'optimizer':>11}{'peak':>9}"]
        lines += [
            f"  {stage:22}{_gib(row['gradients'], 10)}{_gib(row['optimizer'], 11)}{_gib(row['peak'], 9)}"
            for stage, row in report["by_zero_stage"].items()
        ]
        without, with_ = (
            report["activations"][key] for key in ("without_checkpointing", "with_checkpointing")
        )
        lines += ["", f"activations: {_gib(without, 0)} GiB, with checkpointing {_gib(with_, 0)} GiB"]
    lines += ["", *_verdict_lines(report["verdict"])]
    if "files" in report:
        lines += ["", *(f"{name}: {path}" for name, path in report["files"].items())]
    return "\n".join(lines)


def _described(reward: Mapping[str, Any]) -> str:
    frames = f"{reward['frames']} frames" if reward["frames"] else "all frames"
    drawn = "at random" if reward["drawn"] == "random" else "evenly spaced"
    return f"{frames} {drawn}; licence {reward['licence'] or 'of its files'}"


def _verdict_lines(fit: Mapping[str, Any]) -> list[str]:
    memory = f"a GPU of {fit['gpu_memory_gib']:g} GiB"
    smallest = f"; the smallest usual GPU for it has {fit['smallest']} GiB" if fit["smallest"] else ""
    if fit["fits"]:
        return [f"fits {memory}{smallest}"]
    lines = [f"does not fit {memory}{smallest}. Change, in this order:"]
    lines += [f"  {words}: {_gib(size, 0)} GiB" for words, size in fit["changes"]]
    enough = fit["changes"] and fit["changes"][-1][1] <= fit["gpu_memory_gib"] * GIB * USABLE
    if not enough:
        lines.append(
            "  none of this is enough: fewer frames, a smaller picture, a smaller plan, or a larger GPU"
        )
    return lines


def _row(name: str, before: float, after: float, style: str) -> str:
    return f"{name:24}{before:>16{style}}{after:>16{style}}{after / before:>9.1%}"


def _gib(size: float, width: int = 9) -> str:
    return f"{size / GIB:>{width}.2f}"
