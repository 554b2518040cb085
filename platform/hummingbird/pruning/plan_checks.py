"""Whether a plan fits a teacher: every refusal names the stage and the layer, and says what to do."""

from hummingbird.core.errors import InputError
from hummingbird.pruning.pruning_plan import FIRST, PARTS, Config, Plan, transformer_widths


def check_plan(plan: Plan, config: Config) -> None:
    """Checks stages, layers, widths, then dropped parts and narrowed layers.

    Raises:
        InputError: the first of them that does not fit.
    """
    _check_layers(plan, config)
    if plan.middle and not config.get("middle", True):
        raise InputError(f"plan '{plan.name}' keeps a middle block, but the teacher has none")
    _check_widths(plan, config)
    _check_drop(plan, config)
    _check_narrow(plan, config)


def _check_layers(plan: Plan, config: Config) -> None:
    for side in ("down", "up"):
        chosen, stages = plan.kept(side), config[f"{side}_stages"]
        if len(chosen) != len(stages):
            raise InputError(
                f"plan '{plan.name}': {len(chosen)} {side} stages; the teacher has {len(stages)}"
            )
        for index, (kept, stage) in enumerate(zip(chosen, stages, strict=True)):
            where = f"plan '{plan.name}': {side} stage {index}"
            if not kept:
                raise InputError(f"{where} keeps no layer; keep at least one")
            for layer in kept:
                if not 0 <= layer < len(stage["layers"]):
                    raise InputError(f"{where} has no layer {layer}; it has 0 to {len(stage['layers']) - 1}")
                if kept.count(layer) > 1:
                    raise InputError(f"{where} asks for layer {layer} twice")
            if kept != sorted(kept):
                raise InputError(f"{where}: layers must stand in order, {sorted(kept)}")


def _check_widths(plan: Plan, config: Config) -> None:
    """Every kept layer must get the input width that its weights were made for."""
    for side, carried in (
        ("down", config["base_width"]),
        ("up", config["down_stages"][-1]["width"]),
    ):
        for index, (kept, stage) in enumerate(zip(plan.kept(side), config[f"{side}_stages"], strict=True)):
            made_for = carried if kept[0] == 0 else stage["width"]
            if made_for != carried:
                raise InputError(
                    f"plan '{plan.name}': layer {kept[0]} of {side} stage {index} was made for {made_for} "
                    f"channels and would get {carried}; keep layer 0 there"
                )
            carried = stage["width"]


def _check_drop(plan: Plan, config: Config) -> None:
    for entry in plan.drop:
        where = f"plan '{plan.name}': drop: {entry}"
        if plan.drop.count(entry) > 1:
            raise InputError(f"{where} stands twice")
        if entry == FIRST:
            if not config.get("first_temporal_heads", 8):
                raise InputError(f"{where}: the teacher has none")
            continue
        name, _, part = entry.rpartition(".")
        if part not in (*PARTS, "skip"):
            raise InputError(f"{where}: name {', '.join(PARTS)} or skip of a layer, e.g. up.1.2.skip")
        layer, _ = _find(plan, config, name, where)
        key = PARTS.get(part, part)
        if not layer.get(key):
            raise InputError(f"{where}: the teacher's layer has none")


def _check_narrow(plan: Plan, config: Config) -> None:
    for name, widths in plan.narrow.items():
        where = f"plan '{plan.name}': narrow: {name}"
        layer, stage = _find(plan, config, name, where)
        if widths.heads is None and widths.feed_forward is None:
            raise InputError(f"{where} names no width: give heads or feed_forward")
        gone = [part for part in ("spatial_attention", "temporal_attention") if f"{name}.{part}" in plan.drop]
        if not (layer["attention"] and "spatial_attention" not in gone) and not (
            layer["temporal_attention"] and "temporal_attention" not in gone
        ):
            raise InputError(f"{where}: no attention stays there")
        heads, _, feed_forward = transformer_widths(layer, stage["width"], config)
        for key, wanted, has in (
            ("heads", widths.heads, heads),
            ("feed_forward", widths.feed_forward, feed_forward),
        ):
            if wanted is not None and wanted > has:
                raise InputError(f"{where} asks for {key} {wanted}; the teacher has {has}")


def _find(plan: Plan, config: Config, name: str, where: str) -> tuple[Config, Config]:
    """The teacher's layer of a name such as ``up.1.2``, and its stage; the plan must keep it."""
    match name.split("."):
        case [("down" | "up") as side, stage, layer] if stage.isdecimal() and layer.isdecimal():
            stages = config[f"{side}_stages"]
            if int(stage) < len(stages) and int(layer) < len(stages[int(stage)]["layers"]):
                if int(layer) not in plan.kept(side)[int(stage)]:
                    raise InputError(f"{where}: the plan does not keep that layer")
                found = stages[int(stage)]
                return found["layers"][int(layer)], found
    raise InputError(f"{where}: the teacher has no layer '{name}'; name one as down.STAGE.LAYER")
