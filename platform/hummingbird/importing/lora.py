"""T2V-Turbo's LoRA file: an unnamed list of factors, one pair a layer in the order of the published modules."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hummingbird.core.errors import InputError
from hummingbird.importing.table import Entry, Weights

GUIDANCE = "time_cond_proj.weight"


@dataclass(frozen=True)
class Merged:
    """Weights with a LoRA in them, its largest rank, the number of layers, and remarks for the report."""

    weights: Weights
    rank: int
    layers: int
    notes: list[str]


def merge_lora(
    base: Weights, lora: Weights, table: Sequence[Entry], guidance_shape: tuple[int, int]
) -> Merged:
    """Adds up x down to the weight of every linear layer and 2D or 3D convolution of a U-Net; scale 1.

    The sum is taken in float32 and stored in the weight's type. Factors are convolutions where the layer is one:
    (out, rank, 1, ..) and (rank, in, kernel ..). The published 1D convolutions have none.

    Args:
        base: the U-Net's entries in the published naming.
        lora: factors, either a list (up, down, up, down, ..., as the training code saves it) or named
            ``unet:NUMBER:up`` and ``unet:NUMBER:down``.
        table: the names, in the order of the published modules, which is the order of the list.
        guidance_shape: shape of the guidance embedding's projection, which a base without it lacks. The published
            file holds its LoRA alone, so there the product is the weight, and a remark says so.

    Raises:
        InputError: the number of factors or a shape does not fit, or an entry of the base is missing.
    """
    pairs = _pairs(lora)
    tensors, notes, rank = dict(base.tensors), [], 0
    names = []
    for entry in table:
        if entry.source == GUIDANCE and GUIDANCE not in tensors:
            tensors[GUIDANCE] = torch.zeros(guidance_shape)
            notes.append(f"{base.origin} has no {GUIDANCE}: it is the LoRA's product alone, on zeros")
        if entry.source not in tensors:
            raise InputError(f"{base.origin}: the entry {entry.source} of the U-Net is missing")
        if entry.source.endswith("weight") and tensors[entry.source].dim() in (2, 4, 5):
            names.append(entry.source)
    if len(pairs) != len(names):
        raise InputError(
            f"{lora.origin} holds {len(pairs)} pairs of factors, this U-Net has {len(names)} linear layers and "
            "convolutions: the LoRA was made for another structure"
        )
    for number, (name, (up, down)) in enumerate(zip(names, pairs, strict=True)):
        weight = tensors[name]
        shape = tuple(weight.shape)
        kernel = (1,) * (len(shape) - 2)
        r = down.shape[0] if down.dim() else 0
        if tuple(down.shape) != (r, *shape[1:]) or tuple(up.shape) != (shape[0], r, *kernel):
            raise InputError(
                f"{lora.origin}: pair {number}, of {name} {shape}, has the shapes {tuple(up.shape)} and "
                f"{tuple(down.shape)}: the LoRA was made for another structure"
            )
        product = up.float().flatten(1) @ down.float().flatten(1)
        if not torch.isfinite(product.sum(dtype=torch.float64)):
            raise InputError(f"{lora.origin}: NaN or infinity in pair {number}, of {name}")
        tensors[name] = (weight.float() + product.view(shape)).to(weight.dtype)
        rank = max(rank, r)
    return Merged(Weights(tensors, base.origin), rank, len(names), notes)


def _pairs(lora: Weights) -> list[tuple[Tensor, Tensor]]:
    names = list(lora.tensors)
    if all(re.fullmatch(r"\d+", name) for name in names):
        tensors = [lora.tensors[name] for name in sorted(names, key=int)]
        if len(tensors) % 2:
            raise InputError(
                f"{lora.origin} holds {len(tensors)} factors, an odd number: the list is cut short"
            )
        return list(zip(tensors[::2], tensors[1::2], strict=True))
    numbered = {match[1]: name for name in names if (match := re.fullmatch(r"unet:(\d+):(?:up|down)", name))}
    count = len(numbered)
    expected = [(f"unet:{number}:up", f"unet:{number}:down") for number in range(count)]
    if {name for pair in expected for name in pair} != set(names):
        raise InputError(
            f"{lora.origin} is no LoRA of T2V-Turbo: a list of factors, or entries unet:NUMBER:up and unet:NUMBER:down"
        )
    return [(lora.tensors[up], lora.tensors[down]) for up, down in expected]
