"""DOVER's aesthetic branch: ConvNeXt inflated to 3D.

Parameter names are those of the published checkpoint under ``aesthetic_backbone.``.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_EPS = 1e-6
_TEMPORAL_KERNELS = (1, 3, 1)  # of a stage's blocks, around and around


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of a map (B, C, T, H, W)."""

    def forward(self, input: Tensor) -> Tensor:
        result: Tensor = super().forward(input.movedim(1, -1)).movedim(-1, 1)
        return result


class ConvNextBlock(nn.Module):
    """Depthwise convolution, LayerNorm, two linear layers around GELU, layer scale; residual."""

    def __init__(self, width: int, temporal_kernel: int) -> None:
        super().__init__()
        kernel = (temporal_kernel, 7, 7)
        self.dwconv = nn.Conv3d(width, width, kernel, padding=(temporal_kernel // 2, 3, 3), groups=width)
        self.norm = nn.LayerNorm(width, eps=_EPS)
        self.pwconv1 = nn.Linear(width, 4 * width)
        self.pwconv2 = nn.Linear(4 * width, width)
        self.gamma = nn.Parameter(torch.full((width,), 1e-6))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.dwconv(x).movedim(1, -1))
        y = self.gamma * self.pwconv2(F.gelu(self.pwconv1(y)))
        result: Tensor = x + y.movedim(-1, 1)
        return result


class ConvNext3D(nn.Module):
    """Frames (B, 3, T, H, W) to a feature map (B, C, T/2, H/32, W/32) for four stages."""

    def __init__(self, widths: Sequence[int], depths: Sequence[int]) -> None:
        super().__init__()
        stem = nn.Sequential(nn.Conv3d(3, widths[0], (2, 4, 4), (2, 4, 4)), ChannelNorm(widths[0], eps=_EPS))
        between = [
            nn.Sequential(ChannelNorm(a, eps=_EPS), nn.Conv3d(a, b, (1, 2, 2), (1, 2, 2)))
            for a, b in pairwise(widths)
        ]
        self.downsample_layers = nn.ModuleList([stem, *between])
        self.stages = nn.ModuleList(
            nn.Sequential(*(ConvNextBlock(width, _TEMPORAL_KERNELS[i % 3]) for i in range(depth)))
            for width, depth in zip(widths, depths, strict=True)
        )
        self.width = widths[-1]
        self.norm = ChannelNorm(widths[-1], eps=_EPS)

    def forward(self, x: Tensor) -> Tensor:
        for downsample, stage in zip(self.downsample_layers, self.stages, strict=True):
            x = stage(downsample(x))
        result: Tensor = self.norm(x)
        return result
