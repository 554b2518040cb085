"""The pruning plan: which units of the teacher stay, as a small YAML that a person can read and edit.

A plan turns a ``VideoUNet`` configuration into a smaller one; `hummingbird.pruning.slices` says which part of
which of the teacher's tensors each of the student's is. In YAML:

    schema_version: 1
    name: mine
    down: [[0], [0], [0]]            # a list a stage, highest resolution first: the layers that stay
    up: [[1, 2], [1, 2], [0, 2]]     # lowest resolution first
    middle: false
    drop:                            # what goes of the layers that stay, numbered as in the teacher
    - up.1.2.temporal_conv           # or spatial_attention, temporal_attention, skip
    - first.temporal_attention       # the one right after the first convolution
    narrow:                          # fewer heads, fewer channels of the feed-forward
      down.0.0: {heads: 1, feed_forward: 128}

A layer is a residual block with the attention and the temporal convolution behind it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from hummingbird.core.errors import InputError
from hummingbird.core.files import as_path
from hummingbird.models.family import VideoUNetFamily
from hummingbird.models.stages import UNetSpec

Config = Mapping[str, Any]

PARTS = VideoUNetFamily.prunable
"""A part of a layer as plans call it, and the field of its `LayerSpec`."""

FIRST = "first.temporal_attention"


class Narrow(BaseModel):
    """Widths of a layer's transformers, spatial and temporal alike; none: as in the teacher."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    heads: PositiveInt | None = None
    feed_forward: PositiveInt | None = None


class Plan(BaseModel):
    """The units that stay, numbered as in the teacher; ``down`` and ``up`` hold one list a stage."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    schema_version: Literal[1] = 1
    name: str
    down: list[list[int]]
    up: list[list[int]]
    middle: bool
    drop: list[str] = Field(default_factory=list)
    narrow: dict[str, Narrow] = Field(default_factory=dict)

    def to_yaml(self) -> str:
        """The plan as a person writes it."""
        stages = {key: str(getattr(self, key)) for key in ("down", "up")}
        head = yaml.safe_dump({"schema_version": self.schema_version, "name": self.name}, sort_keys=False)
        text = f"{head}down: {stages['down']}\nup: {stages['up']}\nmiddle: {str(self.middle).lower()}\n"
        if self.drop:
            text += "drop:\n" + "".join(f"- {part}\n" for part in self.drop)
        if self.narrow:
            text += "narrow:\n"
        for layer, widths in self.narrow.items():
            inside = ", ".join(f"{k}: {v}" for k, v in widths.model_dump(exclude_none=True).items())
            text += f"  {layer}: {{{inside}}}\n"
        return text

    def kept(self, side: str) -> list[list[int]]:
        """The layers that stay of the ``down`` or ``up`` stages."""
        return self.down if side == "down" else self.up


def whole_plan(config: Config, name: str = "whole") -> Plan:
    """The plan that keeps all."""
    spec = UNetSpec.of(config)
    return Plan(
        name=name,
        down=[list(range(len(stage.layers))) for stage in spec.down],
        up=[list(range(len(stage.layers))) for stage in spec.up],
        middle=spec.middle,
    )


def paper_plan(name: str, config: Config, *, middle: bool) -> Plan:
    """AMD-Hummingbird's cut (arXiv 2503.18559) for any number of stages.

    The first residual block of every down stage stays, and two of every up stage: the last, and the first
    whose input is as wide as that of the student's first layer there, so that every weight fits unchanged.
    """
    spec = UNetSpec.of(config)
    carried = spec.deepest_width
    up = []
    for stage in spec.up:
        last = len(stage.layers) - 1
        # Where the stage below has another width, only layer 0 takes that width; else the later one is kept.
        first = max(last - 1, 0) if carried == stage.width else 0
        up.append(sorted({first, last}))
        carried = stage.width
    return Plan(name=name, down=[[0] for _ in spec.down], up=up, middle=middle)


NAMED_PLANS = {"hummingbird-0.9b": True, "hummingbird-0.7b": False}
"""The paper's two students: whether the middle block stays."""

SHIPPED_PLANS = Path(__file__).parent / "plans"
"""Plans that the planner made, which are shipped: NAME.yaml."""


def load_plan(plan: str, config: Config) -> Plan:
    """A named plan for the teacher's configuration, or one from a YAML file.

    Raises:
        InputError: no such name or file, or a file that is no plan.
    """
    if plan in NAMED_PLANS:
        return paper_plan(plan, config, middle=NAMED_PLANS[plan] and UNetSpec.of(config).middle)
    shipped = {path.stem: path for path in sorted(SHIPPED_PLANS.glob("*.yaml"))}
    path = shipped.get(plan) or as_path(plan).expanduser()
    if not path.is_file():
        raise InputError(
            f"no plan '{plan}': name one of {', '.join((*NAMED_PLANS, *shipped))} or a YAML file"
        )
    try:
        return Plan.model_validate(yaml.load(path.read_text(encoding="utf-8"), _OnceLoader))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no valid YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "the file"
        raise InputError(f"plan {path}: {key}: {first['msg']}") from error


class _OnceLoader(yaml.SafeLoader):
    """Safe, and refuses a key that stands twice, of which YAML would silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[object] = set()
        for key, _ in node.value:
            name = self.construct_object(key, deep=True)
            if name in seen:
                raise yaml.YAMLError(f"'{name}' stands twice{key.start_mark}")
            seen.add(name)
        return super().construct_mapping(node, deep)


def reductions_by_layer(plan: Plan, config: Config) -> dict[str, tuple[str, ...]]:
    """What went of layers that stay, in words, by the layers' names.

    Args:
        config: the teacher's.
    """
    spec = UNetSpec.of(config)
    reductions: dict[str, list[str]] = {}
    for entry in plan.drop:
        layer, _, part = entry.rpartition(".")
        if entry != FIRST:
            reductions.setdefault(layer, []).append(f"no {part.replace('_', ' ')}")
    for layer, narrow in plan.narrow.items():
        widths = spec.widths(*spec.layer(layer))
        words = reductions.setdefault(layer, [])
        if narrow.heads is not None:
            words.append(f"{narrow.heads} of {widths.heads} heads")
        if narrow.feed_forward is not None:
            words.append(f"feed-forward {narrow.feed_forward} of {widths.feed_forward}")
    return {layer: tuple(words) for layer, words in reductions.items()}
