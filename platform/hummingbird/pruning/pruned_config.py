"""From a plan and the teacher's configuration to the student's."""

from dataclasses import replace
from typing import Any

from hummingbird.core.hashes import public_config
from hummingbird.models.stages import LayerSpec, StageSpec, UNetSpec
from hummingbird.pruning.plan_checks import check_plan
from hummingbird.pruning.pruning_plan import FIRST, PARTS, Config, Plan


def pruned_config(plan: Plan, config: Config) -> dict[str, Any]:
    """The student's configuration.

    A kept up layer keeps its skip connection, unless the plan drops it; where the layer that fed it goes, the
    nearest kept layer of the same stage feeds it.

    Raises:
        InputError: the plan does not fit the teacher; the message names stage and layer.
    """
    spec = UNetSpec.of(config)
    check_plan(plan, config)
    names = {"conv_in": "conv_in"}
    for index, stage in enumerate(spec.down):
        kept = plan.down[index]
        for number in range(len(stage.layers)):
            nearest = min(kept, key=lambda other: (abs(other - number), other))
            names[f"down.{index}.{number}"] = f"down.{index}.{kept.index(nearest)}"
        names[f"down.{index}.sample"] = f"down.{index}.sample"
    stages: dict[str, list[StageSpec]] = {"down": [], "up": []}
    for side, index, stage in spec.sides():
        layers = []
        for number in plan.kept(side)[index]:
            layer = _layer(plan, spec, f"{side}.{index}.{number}")
            layers.append(layer if layer.skip is None else replace(layer, skip=names[layer.skip]))
        stages[side].append(replace(stage, layers=tuple(layers)))
    pruned = replace(
        spec,
        down=tuple(stages["down"]),
        up=tuple(stages["up"]),
        middle=plan.middle,
        first_temporal_heads=0 if FIRST in plan.drop else spec.first_temporal_heads,
    )
    return {**pruned.changed(public_config(config)), "middle": plan.middle}


def _layer(plan: Plan, spec: UNetSpec, name: str) -> LayerSpec:
    stage, layer = spec.layer(name)
    changes: dict[str, Any] = {field: False for part, field in PARTS.items() if f"{name}.{part}" in plan.drop}
    if f"{name}.skip" in plan.drop:
        # What is left of the shortcut's weights stays, also where it is no longer needed to change the width.
        changes |= {"skip": None, "shortcut": True}
    if name in plan.narrow:
        narrow, own = plan.narrow[name], spec.widths(stage, layer)
        # The transformers' own width stays: only what the attention and the feed-forward do inside narrows.
        changes |= {
            "heads": narrow.heads or own.heads,
            "inner": own.inner,
            "feed_forward": narrow.feed_forward or own.feed_forward,
        }
    return replace(layer, **changes)
