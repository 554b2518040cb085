"""What a plan keeps and drops, as lines for a terminal."""

from collections.abc import Mapping
from typing import Any

from hummingbird.models.stages import UNetSpec
from hummingbird.pruning.pruning_plan import FIRST, Plan, reductions_by_layer

Config = Mapping[str, Any]


def picture_lines(plan: Plan, config: Config) -> list[str]:
    """A line a stage: ``#`` a layer that stays, ``+`` one that stays in part, ``.`` one that went; then words."""
    spec = UNetSpec.of(config)
    lines, notes, reductions = [], [], reductions_by_layer(plan, config)
    for side in ("down", "up"):
        for index, stage in enumerate(spec.stages(side)):
            marks = ""
            for number in range(len(stage.layers)):
                name = f"{side}.{index}.{number}"
                if number not in plan.kept(side)[index]:
                    marks += "."
                    continue
                words = reductions.get(name, ())
                marks += "+" if words else "#"
                notes += [f"  {name}: {', '.join(words)}"] if words else []
            lines.append(f"  {side} {index}  {marks:8} width {stage.width}")
        if side == "down" and spec.middle:
            lines.append(f"  middle  {'#' if plan.middle else '.'}")
    if FIRST in plan.drop:
        notes.append("  no temporal attention after the first convolution")
    return ["what stays (#), stays in part (+), went (.)", *lines, *notes]
