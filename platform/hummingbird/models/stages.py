"""What a U-Net consists of: its stages and their layers, read once from its configuration, with their defaults.

On disk, and in ``VideoUNet.config``, a configuration is JSON, and stays so; this is what code reads of it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self

Config = Mapping[str, Any]

PLACES = ("conv_in", "down.STAGE.LAYER", "down.STAGE.sample")
"""How feature maps are called that up layers join to their input."""


@dataclass(frozen=True)
class LayerSpec:
    """A layer: a residual block and what follows it.

    Attributes:
        attention, temporal_attention, temporal_conv: whether these follow the residual block.
        heads: of its attention; None: as many as fit into the stage's width.
        inner: channels of its transformers; None: heads times the size of a head.
        feed_forward: channels of their feed-forward; None: four times ``inner``.
        shortcut: whether the residual path has a convolution also where widths are equal.
        skip: of up layers, the name of the feature map that joins their input (`PLACES`), or None.
    """

    attention: bool
    temporal_attention: bool
    temporal_conv: bool
    heads: int | None = None
    inner: int | None = None
    feed_forward: int | None = None
    shortcut: bool = False
    skip: str | None = None

    @property
    def has_transformers(self) -> bool:
        """Whether any attention follows the residual block."""
        return self.attention or self.temporal_attention


@dataclass(frozen=True)
class TransformerWidths:
    """Heads, channels and feed-forward channels of a layer's transformers, spatial and temporal alike."""

    heads: int
    inner: int
    feed_forward: int


@dataclass(frozen=True)
class StageSpec:
    """The layers of one resolution, their ``width`` in channels, and whether the stage ends by halving (doubling)."""

    width: int
    sample: bool
    layers: tuple[LayerSpec, ...]


@dataclass(frozen=True)
class UNetSpec:
    """Down stages, highest resolution first, and up stages, lowest first; names: ``down.STAGE.LAYER``, ``up...``.

    Attributes:
        base_width: of the first convolution.
        middle: whether there is a middle block.
        first_temporal_heads: heads of the temporal transformer after the first convolution; 0 for none.
        head_size: channels of an attention head.
        text_width: channels of the text embedding.
    """

    down: tuple[StageSpec, ...]
    up: tuple[StageSpec, ...]
    base_width: int = 320
    middle: bool = True
    first_temporal_heads: int = 8
    head_size: int = 64
    text_width: int = 1024

    @classmethod
    def of(cls, config: Config) -> Self:
        """Of a configuration, JSON or ``VideoUNet.config``.

        Raises:
            ValueError: a stage or a layer has a key that is not known, or lacks one; the message names it.
        """
        down, up = (
            tuple(
                _stage(f"{side} stage {index}", stage, side)
                for index, stage in enumerate(config[f"{side}_stages"])
            )
            for side in ("down", "up")
        )
        own = {field.name for field in fields(cls)[2:]}
        return cls(down, up, **{key: config[key] for key in own if key in config})

    def changed(self, config: Config) -> dict[str, Any]:
        """The configuration ``config`` with these stages and widths in place of its own."""
        own = {field.name: getattr(self, field.name) for field in fields(self)[2:]}
        explicit = {
            key: value for key, value in own.items() if key in config or value != getattr(UNetSpec, key)
        }
        return {**config, **explicit, **self.stage_configs()}

    def stage_configs(self) -> dict[str, Any]:
        """``down_stages`` and ``up_stages`` as configurations hold them."""
        return {
            f"{side}_stages": [_json(stage, side) for stage in self.stages(side)] for side in ("down", "up")
        }

    def stages(self, side: str) -> tuple[StageSpec, ...]:
        """The ``down`` or the ``up`` stages."""
        return self.down if side == "down" else self.up

    def sides(self) -> Iterator[tuple[str, int, StageSpec]]:
        """Every stage: its side, its number there, and itself."""
        for side in ("down", "up"):
            for index, stage in enumerate(self.stages(side)):
                yield side, index, stage

    def layers(self) -> Iterator[tuple[str, StageSpec, LayerSpec]]:
        """Every layer by its name, with its stage."""
        for side, index, stage in self.sides():
            for number, layer in enumerate(stage.layers):
                yield f"{side}.{index}.{number}", stage, layer

    def layer(self, name: str) -> tuple[StageSpec, LayerSpec]:
        """The layer of a name such as ``up.1.2``, with its stage.

        Raises:
            KeyError: there is none.
        """
        match name.split("."):
            case [("down" | "up") as side, stage, layer] if stage.isdecimal() and layer.isdecimal():
                stages = self.stages(side)
                if int(stage) < len(stages) and int(layer) < len(stages[int(stage)].layers):
                    return stages[int(stage)], stages[int(stage)].layers[int(layer)]
        raise KeyError(name)

    def widths(self, stage: StageSpec, layer: LayerSpec) -> TransformerWidths:
        """Of a layer's transformers."""
        heads = layer.heads or stage.width // self.head_size
        inner = layer.inner or heads * self.head_size
        return TransformerWidths(heads, inner, layer.feed_forward or inner * 4)

    @property
    def deepest_width(self) -> int:
        """Channels at the lowest resolution."""
        return self.down[-1].width

    @property
    def halvings(self) -> int:
        """How often height and width are halved."""
        return sum(stage.sample for stage in self.down)

    def replaced(self, name: str, **changes: Any) -> Self:
        """The same U-Net with another layer of that name."""
        side, index, number = name.split(".")
        stages = list(self.stages(side))
        layers = list(stages[int(index)].layers)
        layers[int(number)] = replace(layers[int(number)], **changes)
        stages[int(index)] = replace(stages[int(index)], layers=tuple(layers))
        return replace(self, down=tuple(stages)) if side == "down" else replace(self, up=tuple(stages))

    def check(self) -> None:
        """Raise ValueError where the stages do not form a U-Net, naming the stage and the layer."""
        if not self.down or len(self.down) != len(self.up):
            raise ValueError(
                "a U-Net has as many up stages as down stages, at least one; "
                f"got {len(self.down)} and {len(self.up)}"
            )
        levels, level = {"conv_in": 0}, 0
        for index, stage in enumerate(self.down):
            levels |= {f"down.{index}.{layer}": level for layer in range(len(stage.layers))}
            level += stage.sample
            if stage.sample:
                levels[f"down.{index}.sample"] = level
        for side, index, stage in self.sides():
            if not stage.layers:
                raise ValueError(f"{side} stage {index} has no layers")
            for number, layer in enumerate(stage.layers) if side == "up" else ():
                if layer.skip is not None and levels.get(layer.skip) != level:
                    raise ValueError(
                        f"up stage {index}, layer {number}: no feature map {layer.skip!r} of its resolution"
                    )
            level -= stage.sample if side == "up" else 0
        if level:
            raise ValueError("the up stages must double as often as the down stages halve")


def _stage(where: str, stage: Config, side: str) -> StageSpec:
    known = {field.name for field in fields(LayerSpec)}
    layers = []
    for number, layer in enumerate(stage["layers"]):
        if unknown := set(layer) - known:
            raise ValueError(f"{where}, layer {number}: unknown {', '.join(sorted(unknown))}")
        needed = ("attention", "temporal_attention", "temporal_conv", *(("skip",) if side == "up" else ()))
        if missing := [key for key in needed if key not in layer]:
            raise ValueError(f"{where}, layer {number}: {', '.join(missing)} missing")
        layers.append(LayerSpec(**layer))
    return StageSpec(stage["width"], bool(stage["sample"]), tuple(layers))


def _json(stage: StageSpec, side: str) -> dict[str, Any]:
    """As configurations are saved: what every layer says, and of the rest what is no default."""
    default = LayerSpec(False, False, False)
    always = ("attention", "temporal_attention", "temporal_conv", *(("skip",) if side == "up" else ()))
    layers = [
        {
            field.name: getattr(layer, field.name)
            for field in fields(LayerSpec)
            if field.name in always or getattr(layer, field.name) != getattr(default, field.name)
        }
        for layer in stage.layers
    ]
    return {"width": stage.width, "sample": stage.sample, "layers": layers}
