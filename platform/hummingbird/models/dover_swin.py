"""DOVER's technical branch: a 3D Swin transformer with gated position bias (FAST-VQA, arXiv 2207.02595).

Parameter names are those of the published checkpoint under ``technical_backbone.``. Maps are channels-last,
(B, T, H, W, C), between the patch embedding and the end.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Size = tuple[int, int, int]
"""Frames, height, width."""


def fit_window(size: Size, window: Size) -> tuple[Size, Size]:
    """The window and its shift for a map of ``size``: a window is cut to the map, and then has no shift."""
    fitted = tuple(min(s, w) for s, w in zip(size, window, strict=True))
    shift = tuple(0 if s <= w else w // 2 for s, w in zip(size, window, strict=True))
    return (fitted[0], fitted[1], fitted[2]), (shift[0], shift[1], shift[2])


def partition_windows(x: Tensor, window: Size) -> Tensor:
    """(B, T, H, W, C) to (B, windows, tokens of a window, C); sizes are multiples of the window's."""
    b, t, h, w, c = x.shape
    wt, wh, ww = window
    x = x.view(b, t // wt, wt, h // wh, wh, w // ww, ww, c)
    return x.permute(0, 1, 3, 5, 2, 4, 6, 7).reshape(b, -1, wt * wh * ww, c)


def merge_windows(windows: Tensor, window: Size, size: Size) -> Tensor:
    """The inverse of `partition_windows` for a map of ``size``."""
    wt, wh, ww = window
    t, h, w = size
    b, c = windows.shape[0], windows.shape[-1]
    x = windows.view(b, t // wt, h // wh, w // ww, wt, wh, ww, c)
    return x.permute(0, 1, 4, 2, 5, 3, 6, 7).reshape(b, t, h, w, c)


def relative_position_index(window: Size) -> Tensor:
    """(N, N) rows of the bias table for each pair of the N positions of a window."""
    axes = torch.meshgrid(*(torch.arange(w) for w in window), indexing="ij")
    positions = torch.stack(axes).flatten(1)
    offset = positions[:, :, None] - positions[:, None, :]
    wt, wh, ww = window
    return ((offset[0] + wt - 1) * (2 * wh - 1) + offset[1] + wh - 1) * (2 * ww - 1) + offset[2] + ww - 1


def fragment_gate(size: Size, window: Size, shift: Size) -> Tensor:
    """(windows, N, N) distance of two positions in fragments: the sum of the differences of fragment numbers.

    The grid of fragments has as many cells as a window has rows and columns, stretched over the padded map by
    nearest neighbor, then shifted and cut like the map.
    """
    rows, columns = (torch.arange(size[a]) * window[a] // size[a] for a in (1, 2))
    axes = torch.meshgrid(torch.zeros(size[0], dtype=torch.long), rows, columns, indexing="ij")
    numbers = torch.stack(axes, -1)
    numbers = torch.roll(numbers, [-s for s in shift], (0, 1, 2))
    cut = partition_windows(numbers[None], window)[0]
    return (cut[:, None, :] - cut[:, :, None]).abs().sum(-1).float()


def shift_mask(size: Size, window: Size, shift: Size) -> Tensor:
    """(windows, N, N) -100 between positions that only the cyclic shift made neighbors, else 0."""
    region = torch.zeros(size)
    number = 0
    cuts = [
        (slice(0, -w), slice(-w, -s), slice(-s, None)) if s else (slice(None),)
        for w, s in zip(window, shift, strict=True)
    ]
    for t in cuts[0]:
        for h in cuts[1]:
            for w in cuts[2]:
                region[t, h, w] = number
                number += 1
    cut = partition_windows(region[None, ..., None], window)[0, ..., 0]
    return torch.where(cut[:, None, :] == cut[:, :, None], 0.0, -100.0)


class WindowAttention(nn.Module):
    """Multi-head attention within windows, its bias mixed of two tables by the fragment gate."""

    def __init__(self, width: int, window: Size, heads: int, gated: bool) -> None:
        super().__init__()
        self.heads = heads
        rows = (2 * window[0] - 1) * (2 * window[1] - 1) * (2 * window[2] - 1)
        self.relative_position_bias_table = nn.Parameter(torch.zeros(rows, heads))
        self.fragment_position_bias_table = nn.Parameter(torch.zeros(rows, heads)) if gated else None
        self.relative_position_index: Tensor
        self.register_buffer("relative_position_index", relative_position_index(window))
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, gate: Tensor, mask: Tensor) -> Tensor:
        """``x`` (B, windows, N, C); ``gate`` and ``mask`` (windows, N, N)."""
        b, windows, n, c = x.shape
        q, k, v = self.qkv(x).view(b, windows, n, 3, self.heads, c // self.heads).permute(3, 0, 1, 4, 2, 5)
        scores = (q * (c // self.heads) ** -0.5) @ k.transpose(-2, -1)
        scores = scores + self._bias(gate.to(scores), n) + mask.to(scores)[:, None]
        x = scores.softmax(-1) @ v
        x = self.proj(x.transpose(2, 3).reshape(b, windows, n, c))
        return x

    def _bias(self, gate: Tensor, n: int) -> Tensor:
        index = self.relative_position_index[:n, :n]
        relative = self.relative_position_bias_table[index].permute(2, 0, 1)[None]
        if self.fragment_position_bias_table is None:
            return relative
        fragment = self.fragment_position_bias_table[index].permute(2, 0, 1)[None]
        return gate[:, None] * relative + (1 - gate[:, None]) * fragment


class Mlp(nn.Module):
    def __init__(self, width: int, ratio: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, ratio * width)
        self.fc2 = nn.Linear(ratio * width, width)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return result


class SwinBlock(nn.Module):
    """Attention in windows, shifted by half a window in every second block, then an MLP; both residual."""

    def __init__(self, width: int, window: Size, heads: int, gated: bool, shifted: bool) -> None:
        super().__init__()
        self.window, self.shifted = window, shifted
        self.norm1 = nn.LayerNorm(width)
        self.attn = WindowAttention(width, window, heads, gated)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = Mlp(width, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self._attend(self.norm1(x))
        x = x + self.mlp(self.norm2(x))
        return x

    def _attend(self, x: Tensor) -> Tensor:
        _, t, h, w, _ = x.shape
        window, shift = fit_window((t, h, w), self.window)
        if not self.shifted:
            shift = (0, 0, 0)
        pad = [-s % v for s, v in zip((t, h, w), window, strict=True)]
        x = F.pad(x, (0, 0, 0, pad[2], 0, pad[1], 0, pad[0]))
        size = (x.shape[1], x.shape[2], x.shape[3])
        gate, mask = fragment_gate(size, window, shift), shift_mask(size, window, shift)
        x = torch.roll(x, [-s for s in shift], (1, 2, 3))
        x = merge_windows(self.attn(partition_windows(x, window), gate, mask), window, size)
        x = torch.roll(x, shift, (1, 2, 3))
        return x[:, :t, :h, :w]


class PatchMerging(nn.Module):
    """Halve height and width: four neighbors side by side as channels, then a linear layer to 2 x width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * width)
        self.reduction = nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x, (0, 0, 0, x.shape[3] % 2, 0, x.shape[2] % 2))
        parts = [x[:, :, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        result: Tensor = self.reduction(self.norm(torch.cat(parts, -1)))
        return result


class SwinStage(nn.Module):
    def __init__(self, width: int, depth: int, heads: int, window: Size, gated: bool, last: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            SwinBlock(width, window, heads, gated, shifted=bool(index % 2)) for index in range(depth)
        )
        self.downsample = None if last else PatchMerging(width)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return x if self.downsample is None else self.downsample(x)


class PatchEmbedding(nn.Module):
    """Non-overlapping patches of (2, 4, 4), padded at the end where they do not fit; channels-last out."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv3d(3, width, (2, 4, 4), (2, 4, 4))
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x, (0, -x.shape[4] % 4, 0, -x.shape[3] % 4, 0, -x.shape[2] % 2))
        result: Tensor = self.norm(self.proj(x).permute(0, 2, 3, 4, 1))
        return result


class Swin3D(nn.Module):
    """Frames (B, 3, T, H, W) to a feature map (B, C, T/2, H/32, W/32) for four stages; C doubles a stage.

    All stages but the last have a gated bias.
    """

    def __init__(self, width: int, depths: Sequence[int], heads: Sequence[int], window: Size) -> None:
        super().__init__()
        stages = len(depths)
        self.patch_embed = PatchEmbedding(width)
        self.layers = nn.ModuleList(
            SwinStage(width << i, depths[i], heads[i], window, gated=i < stages - 1, last=i == stages - 1)
            for i in range(stages)
        )
        self.width = width << (stages - 1)
        self.norm = nn.LayerNorm(self.width)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch_embed(x)
        for layer in self.layers:
            x = layer(x)
        result: Tensor = self.norm(x).permute(0, 4, 1, 2, 3)
        return result
