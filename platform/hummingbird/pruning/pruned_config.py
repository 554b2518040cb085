"""From a plan and the teacher's configuration to the student's."""

from typing import Any

from hummingbird.core.hashes import public_config
from hummingbird.pruning.plan_checks import check_plan
from hummingbird.pruning.pruning_plan import FIRST, PARTS, Config, Plan, transformer_widths


def pruned_config(plan: Plan, config: Config) -> dict[str, Any]:
    """The student's configuration.

    A kept up layer keeps its skip connection, unless the plan drops it; where the layer that fed it goes, the
    nearest kept layer of the same stage feeds it.

    Raises:
        InputError: the plan does not fit the teacher; the message names stage and layer.
    """
    check_plan(plan, config)
    names = {"conv_in": "conv_in"}
    for index, stage in enumerate(config["down_stages"]):
        kept = plan.down[index]
        for layer in range(len(stage["layers"])):
            nearest = min(kept, key=lambda other: (abs(other - layer), other))
            names[f"down.{index}.{layer}"] = f"down.{index}.{kept.index(nearest)}"
        names[f"down.{index}.sample"] = f"down.{index}.sample"
    stages: dict[str, list[dict[str, Any]]] = {}
    for side in ("down", "up"):
        stages[side] = []
        for index, (stage, kept) in enumerate(zip(config[f"{side}_stages"], plan.kept(side), strict=True)):
            layers = [_layer(plan, config, f"{side}.{index}.{layer}", stage, layer) for layer in kept]
            for parts in layers if side == "up" else ():
                parts["skip"] = None if parts["skip"] is None else names[parts["skip"]]
            stages[side].append({**stage, "layers": layers})
    pruned = public_config(config)
    if FIRST in plan.drop:
        pruned["first_temporal_heads"] = 0
    return {**pruned, "down_stages": stages["down"], "up_stages": stages["up"], "middle": plan.middle}


def _layer(plan: Plan, config: Config, name: str, stage: Config, layer: int) -> dict[str, Any]:
    parts = dict(stage["layers"][layer])
    for part, key in PARTS.items():
        if f"{name}.{part}" in plan.drop:
            parts[key] = False
    if f"{name}.skip" in plan.drop:
        # What is left of the shortcut's weights stays, also where it is no longer needed to change the width.
        parts |= {"skip": None, "shortcut": True}
    if name in plan.narrow:
        widths = plan.narrow[name]
        heads, inner, feed_forward = transformer_widths(parts, stage["width"], config)
        # The transformers' own width stays: only what the attention and the feed-forward do inside narrows.
        parts |= {
            "heads": widths.heads or heads,
            "inner": inner,
            "feed_forward": widths.feed_forward or feed_forward,
        }
    return parts
