"""Which part of which of the teacher's tensors each of the student's is, for a plan.

Most tensors are taken whole. A layer that lost its skip connection keeps the channels that came from below; a
narrowed attention keeps the heads, and a narrowed feed-forward the channels, whose weights are largest.
"""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from hummingbird.models.stages import UNetSpec
from hummingbird.pruning.pruning_plan import Plan

_NUMBERED = re.compile(r"(down|up)_blocks\.(\d+)\.(resnets|temp_convs|attentions|temp_attentions)\.(\d+)\.")
_FROM_BELOW = {"norm1.weight": 0, "norm1.bias": 0, "conv1.weight": 1, "conv_shortcut.weight": 1}
_ATTENTION = re.compile(r"(.*\.attn[12])\.(to_q|to_k|to_v|to_out\.0)\.weight$")
_FEED_FORWARD = re.compile(r"(.*\.ff\.net)\.(0\.proj\.weight|0\.proj\.bias|2\.weight)$")


def teacher_name(plan: Plan, parameter: str) -> str:
    """The name in the teacher of one of the student's parameters."""
    match = _NUMBERED.match(parameter)
    if match is None:
        return parameter
    side, stage, part, layer = match.groups()
    return (
        f"{side}_blocks.{stage}.{part}.{plan.kept(side)[int(stage)][int(layer)]}.{parameter[match.end() :]}"
    )


def layer_of(parameter: str) -> str:
    """The unit that a parameter belongs to: ``down.0.1``, ``up.0.1``, ``middle``, ``first``, or ``shared`` (kept)."""
    for start, unit in (("mid_block.", "middle"), ("transformer_in.", "first")):
        if parameter.startswith(start):
            return unit
    match = _NUMBERED.match(parameter)
    return f"{match[1]}.{match[2]}.{match[4]}" if match else "shared"


def teacher_part(
    plan: Plan, config: Mapping[str, Any], weights: Mapping[str, Tensor], source: str
) -> Tensor | None:
    """What the student gets of the teacher's tensor ``source``: itself, or a copy of a part of it.

    Args:
        config: the teacher's configuration.
        weights: the teacher's ``state_dict``.
        source: a name in it, as `teacher_name` gives it.

    Returns:
        None where the teacher has no such tensor.
    """
    if source not in weights:
        return None
    tensor, layer = weights[source], layer_of(source)
    inside = source.rpartition("resnets.")[2].partition(".")[2]
    if f"{layer}.skip" in plan.drop and ".resnets." in source and inside in _FROM_BELOW:
        return tensor.narrow(_FROM_BELOW[inside], 0, _carried(UNetSpec.of(config), layer))
    if layer not in plan.narrow:
        return tensor
    spec = UNetSpec.of(config)
    own = spec.widths(*spec.layer(layer))
    heads, inner = own.heads, own.feed_forward
    narrow = plan.narrow[layer]
    if narrow.heads and narrow.heads < heads and (match := _ATTENTION.match(source)):
        axis = 1 if match[2] == "to_out.0" else 0
        kept = largest_heads(weights, match[1], heads, narrow.heads)
        return tensor.unflatten(axis, (heads, -1)).index_select(axis, kept).flatten(axis, axis + 1)
    if narrow.feed_forward and narrow.feed_forward < inner and (match := _FEED_FORWARD.match(source)):
        kept = largest_channels(weights, match[1], narrow.feed_forward)
        if match[2] == "2.weight":
            return tensor.index_select(1, kept)
        return tensor.index_select(0, torch.cat([kept, kept + inner]))  # the values, then their gates
    return tensor


def largest_heads(weights: Mapping[str, Tensor], attention: str, heads: int, count: int) -> Tensor:
    """The heads, in order, whose product of value and output weights has the largest norm."""
    value = weights[f"{attention}.to_v.weight"].unflatten(0, (heads, -1))
    out = weights[f"{attention}.to_out.0.weight"].unflatten(1, (heads, -1))
    size = (out.transpose(0, 1).float() @ value.float()).flatten(1).norm(dim=1)
    return _largest(size, count)


def largest_channels(weights: Mapping[str, Tensor], feed_forward: str, count: int) -> Tensor:
    """The channels, in order, with the largest product of the norms of value, gate and output weights."""
    value, gate = weights[f"{feed_forward}.0.proj.weight"].float().norm(dim=1).chunk(2)
    out = weights[f"{feed_forward}.2.weight"].float().norm(dim=0)
    return _largest(value * gate * out, count)


def _largest(size: Tensor, count: int) -> Tensor:
    if size.is_meta:  # shapes are all that is asked for
        return torch.arange(count, device="meta")
    return torch.sort(torch.argsort(size, descending=True, stable=True)[:count]).values


def _carried(spec: UNetSpec, layer: str) -> int:
    """Channels that come to an up layer from the layer below it."""
    _, stage, number = layer.split(".")
    if int(number):
        return spec.up[int(stage)].width
    return spec.up[int(stage) - 1].width if int(stage) else spec.deepest_width
