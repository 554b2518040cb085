"""The pruning plan: which layers of which stage stay, as a small YAML that a person can read and edit.

A plan turns a ``VideoUNet`` configuration into a smaller one and says from which of the teacher's layers each
of the student's comes. In YAML:

    schema_version: 1
    name: mine
    down: [[0], [0], [0]]            # a list a stage, highest resolution first: the layers that stay
    up: [[1, 2], [1, 2], [0, 2]]     # lowest resolution first
    middle: false
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from hummingbird.config.section import InputError

Config = Mapping[str, Any]

_NUMBERED = re.compile(r"(down|up)_blocks\.(\d+)\.(resnets|temp_convs|attentions|temp_attentions)\.(\d+)\.")


class Plan(BaseModel):
    """The layers that stay, numbered as in the teacher; ``down`` and ``up`` hold one list a stage."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    schema_version: Literal[1] = 1
    name: str
    down: list[list[int]]
    up: list[list[int]]
    middle: bool

    def to_yaml(self) -> str:
        """The plan as a person writes it."""
        stages = {key: str(getattr(self, key)) for key in ("down", "up")}
        head = yaml.safe_dump({"schema_version": self.schema_version, "name": self.name}, sort_keys=False)
        return f"{head}down: {stages['down']}\nup: {stages['up']}\nmiddle: {str(self.middle).lower()}\n"


def paper_plan(name: str, config: Config, *, middle: bool) -> Plan:
    """AMD-Hummingbird's cut (arXiv 2503.18559) for any number of stages.

    The first residual block of every down stage stays, and two of every up stage: the last, and the first
    whose input is as wide as that of the student's first layer there, so that every weight fits unchanged.
    """
    carried = config["down_stages"][-1]["width"]
    up = []
    for stage in config["up_stages"]:
        last = len(stage["layers"]) - 1
        # Where the stage below has another width, only layer 0 takes that width; else the later one is kept.
        first = max(last - 1, 0) if carried == stage["width"] else 0
        up.append(sorted({first, last}))
        carried = stage["width"]
    return Plan(name=name, down=[[0] for _ in config["down_stages"]], up=up, middle=middle)


NAMED_PLANS = {"hummingbird-0.9b": True, "hummingbird-0.7b": False}
"""The paper's two students: whether the middle block stays."""


def load_plan(plan: str, config: Config) -> Plan:
    """A named plan for the teacher's configuration, or one from a YAML file.

    Raises:
        InputError: no such name or file, or a file that is no plan.
    """
    if plan in NAMED_PLANS:
        return paper_plan(plan, config, middle=NAMED_PLANS[plan] and bool(config["middle"]))
    path = Path(plan).expanduser()
    if not path.is_file():
        raise InputError(f"no plan '{plan}': name one of {', '.join(NAMED_PLANS)} or a YAML file")
    try:
        return Plan.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no valid YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "the file"
        raise InputError(f"plan {path}: {key}: {first['msg']}") from error


def pruned_config(plan: Plan, config: Config) -> dict[str, Any]:
    """The student's configuration.

    A kept up layer keeps its skip connection; where the layer that fed it goes, the nearest kept layer of the
    same stage feeds it.

    Raises:
        InputError: the plan does not fit the teacher; the message names stage and layer.
    """
    _check(plan, config)
    names = {"conv_in": "conv_in"}
    for index, stage in enumerate(config["down_stages"]):
        kept = plan.down[index]
        for layer in range(len(stage["layers"])):
            nearest = min(kept, key=lambda other: (abs(other - layer), other))
            names[f"down.{index}.{layer}"] = f"down.{index}.{kept.index(nearest)}"
        names[f"down.{index}.sample"] = f"down.{index}.sample"
    down = [
        {**stage, "layers": [dict(stage["layers"][layer]) for layer in kept]}
        for stage, kept in zip(config["down_stages"], plan.down, strict=True)
    ]
    up = []
    for stage, kept in zip(config["up_stages"], plan.up, strict=True):
        layers = [dict(stage["layers"][layer]) for layer in kept]
        for parts in layers:
            parts["skip"] = None if parts["skip"] is None else names[parts["skip"]]
        up.append({**stage, "layers": layers})
    config = {key: value for key, value in config.items() if not key.startswith("_")}
    return {**config, "down_stages": down, "up_stages": up, "middle": plan.middle}


def teacher_name(plan: Plan, parameter: str) -> str:
    """The name in the teacher of one of the student's parameters."""
    match = _NUMBERED.match(parameter)
    if match is None:
        return parameter
    side, stage, part, layer = match.groups()
    kept = (plan.down if side == "down" else plan.up)[int(stage)][int(layer)]
    return f"{side}_blocks.{stage}.{part}.{kept}.{parameter[match.end() :]}"


def layer_of(parameter: str) -> str:
    """The unit that a parameter belongs to: ``down.0.1``, ``up.0.1``, ``middle``, or ``shared`` (kept)."""
    if parameter.startswith("mid_block."):
        return "middle"
    match = _NUMBERED.match(parameter)
    return f"{match[1]}.{match[2]}.{match[4]}" if match else "shared"


def _check(plan: Plan, config: Config) -> None:
    for side, chosen in (("down", plan.down), ("up", plan.up)):
        stages: Sequence[Config] = config[f"{side}_stages"]
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
    if plan.middle and not config["middle"]:
        raise InputError(f"plan '{plan.name}' keeps a middle block, but the teacher has none")
    _check_widths(plan, config)


def _check_widths(plan: Plan, config: Config) -> None:
    """Every kept layer must get the input width that its weights were made for."""
    for side, chosen, carried in (
        ("down", plan.down, config["base_width"]),
        ("up", plan.up, config["down_stages"][-1]["width"]),
    ):
        for index, (kept, stage) in enumerate(zip(chosen, config[f"{side}_stages"], strict=True)):
            made_for = carried if kept[0] == 0 else stage["width"]
            if made_for != carried:
                raise InputError(
                    f"plan '{plan.name}': layer {kept[0]} of {side} stage {index} was made for {made_for} "
                    f"channels and would get {carried}; keep layer 0 there"
                )
            carried = stage["width"]
