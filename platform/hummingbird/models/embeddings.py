"""Embeddings of scalars: timestep, frame rate and guidance scale."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def sinusoidal_embedding(values: Tensor, size: int) -> Tensor:
    """(B,) to (B, size), float32: cosines then sines of frequencies 1 to 1/10000 (DDPM's, cosines first)."""
    half = size // 2
    frequencies = torch.exp(-math.log(10000.0) * torch.arange(half, device=values.device) / half)
    angles = values.float()[:, None] * frequencies[None]
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


def guidance_embedding(guidance: Tensor, size: int) -> Tensor:
    """(B,) guidance scales to (B, size), float32: sines then cosines (latent consistency models, arXiv 2310.04378)."""
    half = size // 2
    # The published order of operations: at angles in the thousands another rounding shows in the fourth decimal.
    # The exponential alone is taken in double: in single its last bit depends on the processor's mathematics library.
    exponents = torch.arange(half, device=guidance.device) * -(math.log(10000.0) / (half - 1))
    frequencies = exponents.double().exp().float()
    angles = guidance.float()[:, None] * 1000.0 * frequencies[None]
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


class TimestepEmbedding(nn.Module):
    """Two linear layers with SiLU between; a condition enters the first through a bias-free projection."""

    def __init__(self, size: int, width: int, condition: int | None = None) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(size, width)
        self.linear_2 = nn.Linear(width, width)
        self.cond_proj = nn.Linear(condition, size, bias=False) if condition else None

    def forward(self, signal: Tensor, condition: Tensor | None = None) -> Tensor:
        if self.cond_proj is not None and condition is not None:
            signal = signal + self.cond_proj(condition)
        out: Tensor = self.linear_2(F.silu(self.linear_1(signal)))
        return out
