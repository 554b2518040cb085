"""Weights drawn from their names: the rule of the parity cases, which need no stored weights."""

import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor


def drawn(name: str, shape: Sequence[int]) -> Tensor:
    """Standard normal numbers of a shape, float32, that depend on a name alone."""
    values = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(tuple(shape))
    return torch.from_numpy(np.asarray(values, dtype=np.float32))


def drawn_weight(name: str, shape: Sequence[int]) -> Tensor:
    """A weight: scaled by its inputs; in one dimension a tenth, around 1 where the name ends in "weight"."""
    values = drawn(name, shape)
    if len(shape) > 1:
        return values / float(np.sqrt(np.prod(shape[1:])))
    return 0.1 * values + float(name.endswith("weight"))


def drawn_state(shapes: Mapping[str, Sequence[int]], prefix: str = "") -> dict[str, Tensor]:
    """Weights of every name, stored under ``prefix`` but drawn from the name without it."""
    return {prefix + name: drawn_weight(name, shape) for name, shape in shapes.items()}
