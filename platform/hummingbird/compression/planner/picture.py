"""What went, as a picture for a browser and as lines for a terminal."""

from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files
from typing import Any

from hummingbird.compression.plan import FIRST, Plan, transformer_widths
from hummingbird.evaluation.report.from_runs import plan_part
from hummingbird.evaluation.report.plan_chart import plan_picture

Config = Mapping[str, Any]


def picture_page(plan: Plan, config: Config, before: int, after: int) -> str:
    """An HTML page with the U of the U-Net: what stays, what went, and what of a block went.

    Args:
        config: the teacher's.
        before, after: parameters.
    """
    kept = {side: plan.kept(side) for side in ("down", "up")}
    drawn = plan_part(config, kept, plan.middle, (before, after), plan.name)
    places = {"down": 0, "up": 0}
    stages = []
    for stage in drawn.stages:
        if stage.side not in places:
            stages.append(stage)
            continue
        index = places[stage.side]
        places[stage.side] += 1
        blocks = []
        for number, block in enumerate(stage.blocks):
            went = went_of(plan, config, f"{stage.side}.{index}.{number}")
            blocks.append(replace(block, name=f"{block.name}: {went}") if block.kept and went else block)
        stages.append(replace(stage, blocks=tuple(blocks)))
    style = files("hummingbird.evaluation.report").joinpath("style.css").read_text(encoding="utf-8")
    head = f"<title>{plan.name}</title><style>{style}</style>"
    words = f"{plan.name}: {before:,} parameters to {after:,} ({after / before:.1%})"
    if FIRST in plan.drop:
        words += "; without the temporal attention after the first convolution"
    picture = plan_picture(replace(drawn, stages=tuple(stages)))
    return f'<!doctype html><html lang="en"><meta charset="utf-8">{head}<main><p>{words}</p>{picture}</main></html>'


def went_of(plan: Plan, config: Config, layer: str) -> str:
    """What went of a layer that stays, in words; empty where nothing did."""
    words = [
        f"no {entry.rpartition('.')[2].replace('_', ' ')}"
        for entry in plan.drop
        if entry.rpartition(".")[0] == layer
    ]
    if layer in plan.narrow:
        side, stage, number = layer.split(".")
        spec = config[f"{side}_stages"][int(stage)]
        heads, _, wide = transformer_widths(spec["layers"][int(number)], spec["width"], config)
        narrow = plan.narrow[layer]
        if narrow.heads is not None:
            words.append(f"{narrow.heads} of {heads} heads")
        if narrow.feed_forward is not None:
            words.append(f"feed-forward {narrow.feed_forward} of {wide}")
    return ", ".join(words)


def picture_lines(plan: Plan, config: Config) -> list[str]:
    """A line a stage: ``#`` a layer that stays, ``+`` one that stays in part, ``.`` one that went; then words."""
    lines, notes = [], []
    for side in ("down", "up"):
        for index, stage in enumerate(config[f"{side}_stages"]):
            marks = ""
            for number in range(len(stage["layers"])):
                name = f"{side}.{index}.{number}"
                if number not in plan.kept(side)[index]:
                    marks += "."
                    continue
                went = went_of(plan, config, name)
                marks += "+" if went else "#"
                notes += [f"  {name}: {went}"] if went else []
            lines.append(f"  {side} {index}  {marks:8} width {stage['width']}")
        if side == "down" and config.get("middle", True):
            lines.append(f"  middle  {'#' if plan.middle else '.'}")
    if FIRST in plan.drop:
        notes.append("  no temporal attention after the first convolution")
    return ["what stays (#), stays in part (+), went (.)", *lines, *notes]
