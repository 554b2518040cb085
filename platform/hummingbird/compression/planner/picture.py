"""What went, as a picture for a browser and as lines for a terminal."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from hummingbird.compression.plan import FIRST, Plan, parts_gone
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
    drawn = plan_part(config, kept, plan.middle, (before, after), plan.name, parts_gone(plan, config))
    style = files("hummingbird.evaluation.report").joinpath("style.css").read_text(encoding="utf-8")
    head = f"<title>{plan.name}</title><style>{style}</style>"
    words = f"{plan.name}: {before:,} parameters to {after:,} ({after / before:.1%})"
    if FIRST in plan.drop:
        words += "; without the temporal attention after the first convolution"
    picture = plan_picture(drawn)
    return f'<!doctype html><html lang="en"><meta charset="utf-8">{head}<main><p>{words}</p>{picture}</main></html>'


def picture_lines(plan: Plan, config: Config) -> list[str]:
    """A line a stage: ``#`` a layer that stays, ``+`` one that stays in part, ``.`` one that went; then words."""
    lines, notes, gone = [], [], parts_gone(plan, config)
    for side in ("down", "up"):
        for index, stage in enumerate(config[f"{side}_stages"]):
            marks = ""
            for number in range(len(stage["layers"])):
                name = f"{side}.{index}.{number}"
                if number not in plan.kept(side)[index]:
                    marks += "."
                    continue
                went = gone.get(name, ())
                marks += "+" if went else "#"
                notes += [f"  {name}: {', '.join(went)}"] if went else []
            lines.append(f"  {side} {index}  {marks:8} width {stage['width']}")
        if side == "down" and config.get("middle", True):
            lines.append(f"  middle  {'#' if plan.middle else '.'}")
    if FIRST in plan.drop:
        notes.append("  no temporal attention after the first convolution")
    return ["what stays (#), stays in part (+), went (.)", *lines, *notes]
