"""Whether a plan fits a teacher: every refusal names the stage and the layer, and says what to do."""

from hummingbird.core.errors import InputError
from hummingbird.models.stages import LayerSpec, StageSpec, UNetSpec
from hummingbird.pruning.pruning_plan import FIRST, PARTS, Config, Plan


def check_plan(plan: Plan, config: Config) -> None:
    """Checks stages, layers, widths, then dropped parts and narrowed layers.

    Raises:
        InputError: the first of them that does not fit.
    """
    spec = UNetSpec.of(config)
    _check_layers(plan, spec)
    if plan.middle and not spec.middle:
        raise InputError(f"plan '{plan.name}' keeps a middle block, but the teacher has none")
    _check_widths(plan, spec)
    _check_drop(plan, spec)
    _check_narrow(plan, spec)


def _check_layers(plan: Plan, spec: UNetSpec) -> None:
    for side in ("down", "up"):
        chosen, stages = plan.kept(side), spec.stages(side)
        if len(chosen) != len(stages):
            raise InputError(
                f"plan '{plan.name}': {len(chosen)} {side} stages; the teacher has {len(stages)}"
            )
        for index, (kept, stage) in enumerate(zip(chosen, stages, strict=True)):
            where = f"plan '{plan.name}': {side} stage {index}"
            if not kept:
                raise InputError(f"{where} keeps no layer; keep at least one")
            for layer in kept:
                if not 0 <= layer < len(stage.layers):
                    raise InputError(f"{where} has no layer {layer}; it has 0 to {len(stage.layers) - 1}")
                if kept.count(layer) > 1:
                    raise InputError(f"{where} asks for layer {layer} twice")
            if kept != sorted(kept):
                raise InputError(f"{where}: layers must stand in order, {sorted(kept)}")


def _check_widths(plan: Plan, spec: UNetSpec) -> None:
    """Every kept layer must get the input width that its weights were made for."""
    for side, carried in (("down", spec.base_width), ("up", spec.deepest_width)):
        for index, (kept, stage) in enumerate(zip(plan.kept(side), spec.stages(side), strict=True)):
            made_for = carried if kept[0] == 0 else stage.width
            if made_for != carried:
                raise InputError(
                    f"plan '{plan.name}': layer {kept[0]} of {side} stage {index} was made for {made_for} "
                    f"channels and would get {carried}; keep layer 0 there"
                )
            carried = stage.width


def _check_drop(plan: Plan, spec: UNetSpec) -> None:
    for entry in plan.drop:
        where = f"plan '{plan.name}': drop: {entry}"
        if plan.drop.count(entry) > 1:
            raise InputError(f"{where} stands twice")
        if entry == FIRST:
            if not spec.first_temporal_heads:
                raise InputError(f"{where}: the teacher has none")
            continue
        name, _, part = entry.rpartition(".")
        if part not in (*PARTS, "skip"):
            raise InputError(f"{where}: name {', '.join(PARTS)} or skip of a layer, e.g. up.1.2.skip")
        _, layer = _find(plan, spec, name, where)
        if not getattr(layer, PARTS.get(part, part)):
            raise InputError(f"{where}: the teacher's layer has none")


def _check_narrow(plan: Plan, spec: UNetSpec) -> None:
    for name, widths in plan.narrow.items():
        where = f"plan '{plan.name}': narrow: {name}"
        stage, layer = _find(plan, spec, name, where)
        if widths.heads is None and widths.feed_forward is None:
            raise InputError(f"{where} names no width: give heads or feed_forward")
        dropped = [
            part for part in ("spatial_attention", "temporal_attention") if f"{name}.{part}" in plan.drop
        ]
        if not (layer.attention and "spatial_attention" not in dropped) and not (
            layer.temporal_attention and "temporal_attention" not in dropped
        ):
            raise InputError(f"{where}: no attention stays there")
        own = spec.widths(stage, layer)
        for key, target, available in (
            ("heads", widths.heads, own.heads),
            ("feed_forward", widths.feed_forward, own.feed_forward),
        ):
            if target is not None and target > available:
                raise InputError(f"{where} asks for {key} {target}; the teacher has {available}")


def _find(plan: Plan, spec: UNetSpec, name: str, where: str) -> tuple[StageSpec, LayerSpec]:
    """The teacher's layer of a name such as ``up.1.2``, and its stage; the plan must keep it."""
    try:
        specs = spec.layer(name)
    except KeyError as error:
        raise InputError(
            f"{where}: the teacher has no layer '{name}'; name one as down.STAGE.LAYER"
        ) from error
    side, stage, layer = name.split(".")
    if int(layer) not in plan.kept(side)[int(stage)]:
        raise InputError(f"{where}: the plan does not keep that layer")
    return specs
