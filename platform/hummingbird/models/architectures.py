"""Named U-Net configurations."""

from collections.abc import Sequence
from typing import Any

from hummingbird.models.stages import LayerSpec, StageSpec, UNetSpec


def unet_config(
    widths: Sequence[int],
    down_layers: int = 2,
    attention: Sequence[bool] | None = None,
    **others: Any,
) -> dict[str, Any]:
    """VideoCrafter2's arrangement at any size: one stage a width, ``down_layers`` down and one more up.

    Args:
        widths: channels of each stage, highest resolution first.
        attention: whether a stage has attention; default: all but the deepest.
        others: further arguments of ``VideoUNet``.
    """
    stages = len(widths)
    attention = attention or [True] * (stages - 1) + [False]

    def layer(stage: int, skip: str | None = None) -> LayerSpec:
        return LayerSpec(attention[stage], attention[stage], temporal_conv=True, skip=skip)

    stack = ["conv_in"]
    down, up = [], []
    for index, width in enumerate(widths):
        last = index == stages - 1
        down.append(StageSpec(width, not last, (layer(index),) * down_layers))
        stack += [f"down.{index}.{number}" for number in range(down_layers)]
        stack += [] if last else [f"down.{index}.sample"]
    for index in reversed(range(stages)):
        layers = [layer(index, stack.pop()) for _ in range(down_layers + 1)]
        up.append(StageSpec(widths[index], index > 0, tuple(layers)))
    spec = UNetSpec(tuple(down), tuple(up), base_width=widths[0])
    return {"base_width": spec.base_width, **spec.stage_configs(), **others}


def videocrafter2_config() -> dict[str, Any]:
    """The 1.4 B U-Net of VideoCrafter2 (arXiv 2401.09047)."""
    return unet_config((320, 640, 1280, 1280), in_channels=4, head_size=64, text_width=1024)


def shapes_teacher_config() -> dict[str, Any]:
    """The teacher of the shapes world: VideoCrafter2's structure with three stages and places, at a small width."""
    return unet_config(
        (64, 64, 96),
        in_channels=16,
        head_size=32,
        text_width=128,
        first_temporal_heads=2,
        dropout=0.0,
        embed_places=True,
    )
