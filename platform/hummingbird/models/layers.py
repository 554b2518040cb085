"""The building blocks of the video U-Net, on tokens.

Every feature map is one contiguous tensor of shape (B, T, H, W, C). Seen as (B T, C, H, W) that is a channels-last
image batch, as (B, C, T, H, W) a channels-last volume, as (B T, H W, C) or (B, H W heads, T, d) the sequences of
spatial and temporal attention: going from one to the other is a change of strides and copies nothing.

Parameter names are those of diffusers' ``UNet3DConditionModel``, so its weights load unchanged.
"""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class GroupNorm(nn.GroupNorm):
    """Group normalization of (N, ..., C) over all dimensions between the first and the last, then optionally SiLU.

    Statistics are taken in float32 whatever the input's type.

    Attributes:
        moments: whether to take them by sums (True), by torch's own kernel (False), or as is fast where the input
            lies (None).
    """

    moments: bool | None = None

    def __init__(self, num_groups: int, num_channels: int, eps: float, silu: bool = False) -> None:
        super().__init__(num_groups, num_channels, eps)
        self.silu = silu

    def forward(self, input: Tensor) -> Tensor:
        # torch 2.13's own crashes on a CPU going backward where its weight is frozen.
        frozen = torch.is_grad_enabled() and not self.weight.requires_grad
        moments = self.moments
        if moments is None:
            moments = input.device.type != "cpu" or frozen
        out = self._by_moments(input) if moments else self._fused(input)
        return out.view(input.shape)

    def _fused(self, values: Tensor) -> Tensor:
        """torch's own, which on a CPU takes channels-last images as they are: a training step of the norm in half
        the time of `_by_moments`."""
        n, w, c = values.shape[0], values.shape[-2], values.shape[-1]
        images = values.reshape(n, -1, w, c).permute(0, 3, 1, 2)
        out = F.group_norm(images.float(), self.num_groups, self.weight.float(), self.bias.float(), self.eps)
        return (F.silu(out) if self.silu else out).permute(0, 2, 3, 1).to(values.dtype)

    def _by_moments(self, values: Tensor) -> Tensor:
        """Sums along the outer dimension, which are fast in this layout; elsewhere torch's own would turn it.

        Values of 16 bits are read as they are and summed in float32: no copy of them in float32 is made, nor kept
        for the backward pass.
        """
        kind, n, c = values.device.type, values.shape[0], values.shape[-1]
        tokens = values.reshape(n, -1, c)
        # Autocast would make that copy.
        cast = kind != "meta" and torch.is_autocast_enabled(kind)
        plain = torch.autocast(kind, enabled=False) if cast else nullcontext()
        with plain:
            mean = tokens.mean(1, dtype=torch.float32).view(n, self.num_groups, -1).mean(-1, keepdim=True)
            norm = torch.linalg.vector_norm(tokens, dim=1, dtype=torch.float32)
            square = norm.square().view(n, self.num_groups, -1).mean(-1, keepdim=True) / tokens.shape[1]
            scale = torch.rsqrt((square - mean.square()).clamp_min(0) + self.eps)
            weight = self.weight.float().view(1, self.num_groups, -1) * scale
            shift = self.bias.float().view(1, self.num_groups, -1) - mean * weight
            out = torch.addcmul(shift.view(n, 1, c), tokens, weight.view(n, 1, c)).to(values.dtype)
            return F.silu(out) if self.silu else out


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Scaled dot-product attention of (..., S, d) with (..., L, d)."""
    if q.device.type == "cpu" and q.dtype == torch.bfloat16 and torch.is_grad_enabled():
        # torch 2.13's fused backward on a CPU takes 6 to 13 times as long in bfloat16 as these two products.
        weights = torch.softmax((q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2), dim=-1, dtype=torch.float32)
        return weights.to(v.dtype) @ v
    return F.scaled_dot_product_attention(q, k, v)


def image_conv(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """A 2D convolution of every frame of tokens (B, T, H, W, C)."""
    b, t = x.shape[:2]
    out: Tensor = conv(x.flatten(0, 1).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    return out.contiguous().unflatten(0, (b, t))


def time_conv(conv: nn.Module, x: Tensor) -> Tensor:
    """A (3, 1, 1) convolution of tokens (B, T, H, W, C), as a (3, 1) one of images of T rows and H W columns.

    torch's 3D convolution on a CPU wants another layout, and falls back to an unfused path.
    """
    if not isinstance(conv, nn.Conv3d):  # with adapters around it: what they add, beside the layer's own way
        adapted: Any = conv
        out = time_conv(adapted.get_base_layer(), x)
        names = () if adapted.disable_adapters or adapted.merged else adapted.active_adapters
        for name in names:
            if name in adapted.lora_A:
                low = time_conv(adapted.lora_A[name], adapted.lora_dropout[name](x))
                added = adapted.lora_B[name](low.permute(0, 4, 1, 2, 3)).permute(0, 2, 3, 4, 1)
                out = out + adapted.scaling[name] * added
        return out.contiguous()
    columns = x.flatten(2, 3).permute(0, 3, 1, 2)
    result = F.conv2d(columns, conv.weight.squeeze(-1), conv.bias, padding=(1, 0))
    return result.permute(0, 2, 3, 1).contiguous().view(*x.shape[:-1], -1)


class ResnetBlock(nn.Module):
    """GroupNorm, SiLU, 3x3 convolution, twice, with the time embedding added in between and a shortcut."""

    def __init__(
        self, in_channels: int, out_channels: int, embedding: int, groups: int, shortcut: bool = False
    ) -> None:
        super().__init__()
        self.norm1 = GroupNorm(groups, in_channels, 1e-5, silu=True)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.time_emb_proj = nn.Linear(embedding, out_channels)
        self.norm2 = GroupNorm(groups, out_channels, 1e-5, silu=True)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        # A pruned block may have lost its skip connection and yet keep what is left of its shortcut.
        shortcut = shortcut or in_channels != out_channels
        self.conv_shortcut = nn.Conv2d(in_channels, out_channels, 1) if shortcut else None

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """x: (B, T, H, W, C); embedding: (B, E), or (B, T, E) where frames differ, already through SiLU."""
        b, t = x.shape[:2]
        added = self.time_emb_proj(embedding)
        added = added[:, None, None, None] if added.dim() == 2 else added[:, :, None, None]
        # The spatial norms take their statistics a frame at a time.
        hidden = self.norm1(x.flatten(0, 1)).unflatten(0, (b, t))
        hidden = image_conv(self.conv1, hidden) + added
        hidden = self.norm2(hidden.flatten(0, 1)).unflatten(0, (b, t))
        hidden = image_conv(self.conv2, hidden)
        return hidden + (x if self.conv_shortcut is None else image_conv(self.conv_shortcut, x))


class TemporalConv(nn.Module):
    """Four layers of GroupNorm, SiLU and a convolution over time alone, with a residual; the last starts at zero."""

    conv1: nn.Sequential
    conv2: nn.Sequential
    conv3: nn.Sequential
    conv4: nn.Sequential

    def __init__(self, channels: int, groups: int, dropout: float) -> None:
        super().__init__()
        for index in range(1, 5):
            norm = GroupNorm(groups, channels, 1e-5, silu=True)
            drop = [] if index == 1 else [nn.Dropout(dropout)]
            # SiLU is inside the norm; Identity keeps the published numbering of the layers.
            layers = nn.Sequential(
                norm, nn.Identity(), *drop, nn.Conv3d(channels, channels, (3, 1, 1), padding=(1, 0, 0))
            )
            setattr(self, f"conv{index}", layers)
        last: Any = self.conv4[-1]
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, x: Tensor) -> Tensor:
        hidden = x
        for layers in (self.conv1, self.conv2, self.conv3, self.conv4):
            convolution: Any
            *before, convolution = layers
            for layer in before:
                hidden = layer(hidden)
            hidden = time_conv(convolution, hidden)
        return x + hidden


class Attention(nn.Module):
    """Multi-head attention without biases on query, key and value; heads x head size may differ from the width.

    Attributes:
        attend: the kernel: of (..., S, d) with (..., L, d) and (..., L, d).
    """

    attend: Callable[[Tensor, Tensor, Tensor], Tensor] = staticmethod(attend)

    def __init__(self, width: int, heads: int, head_size: int, context: int | None = None) -> None:
        super().__init__()
        self.heads, inner = heads, heads * head_size
        self.to_q = nn.Linear(width, inner, bias=False)
        self.to_k = nn.Linear(context or width, inner, bias=False)
        self.to_v = nn.Linear(context or width, inner, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(inner, width), nn.Identity()])

    def forward(self, x: Tensor, context: Tensor | None = None, over_time: bool = False) -> Tensor:
        """x: (N, S, C), context: (N, L, D) or None; or, over time, x: (B, T, S, C) attending along T."""
        source = x if context is None else context
        q, k, v = (
            p.unflatten(-1, (self.heads, -1)) for p in (self.to_q(x), self.to_k(source), self.to_v(source))
        )
        if over_time:  # (B, T, S, heads, d) -> (B, S heads, T, d), a view
            q, k, v = (p.permute(0, 2, 3, 1, 4).flatten(1, 2) for p in (q, k, v))
            out = self.attend(q, k, v)
            out = out.unflatten(1, (x.shape[2], self.heads)).permute(0, 3, 1, 2, 4).flatten(-2)
        else:
            q, k, v = (p.transpose(1, 2) for p in (q, k, v))
            out = self.attend(q, k, v).transpose(1, 2).flatten(-2)
        result: Tensor = self.to_out[0](out)
        return result


class GEGLU(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.proj = nn.Linear(width, inner * 2)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.proj(x).chunk(2, dim=-1)
        result: Tensor = value * F.gelu(gate)
        return result


class FeedForward(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.net = nn.ModuleList([GEGLU(width, inner), nn.Identity(), nn.Linear(inner, width)])

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.net[2](self.net[0](x))
        return result


class TransformerBlock(nn.Module):
    """Self-attention, then cross-attention (self-attention again where there is no context), then feed-forward."""

    def __init__(
        self, width: int, heads: int, head_size: int, feed_forward: int, context: int | None
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn1 = Attention(width, heads, head_size)
        self.norm2 = nn.LayerNorm(width)
        self.attn2 = Attention(width, heads, head_size, context)
        self.norm3 = nn.LayerNorm(width)
        self.ff = FeedForward(width, feed_forward)


class Transformer(nn.Module):
    """GroupNorm, linear in, one transformer block, linear out, residual; over space or over time."""

    def __init__(
        self,
        width: int,
        heads: int,
        head_size: int,
        groups: int,
        feed_forward: int,
        context: int | None = None,
        inner: int | None = None,
    ) -> None:
        super().__init__()
        inner = inner or heads * head_size
        self.norm = GroupNorm(groups, width, 1e-6)
        self.proj_in = nn.Linear(width, inner)
        self.transformer_blocks = nn.ModuleList(
            [TransformerBlock(inner, heads, head_size, feed_forward, context)]
        )
        self.proj_out = nn.Linear(inner, width)


class SpatialTransformer(Transformer):
    """Tokens of a frame attend to each other, then to the text."""

    def forward(self, x: Tensor, text: Tensor) -> Tensor:
        """x: (B, T, H, W, C); text: (B, L, D)."""
        b, t, h, w, _ = x.shape
        block: Any = self.transformer_blocks[0]
        hidden = self.proj_in(self.norm(x.flatten(0, 1))).flatten(1, 2)
        hidden = hidden + block.attn1(block.norm1(hidden))
        # One text a clip: all frames' tokens are the queries of one sequence, and keys and values are made once.
        hidden = hidden.reshape(b, t * h * w, -1)
        hidden = hidden + block.attn2(block.norm2(hidden), text)
        hidden = hidden + block.ff(block.norm3(hidden))
        out: Tensor = x + self.proj_out(hidden).view(x.shape)
        return out


class TemporalTransformer(Transformer):
    """Tokens of one place attend to each other over time, twice."""

    def forward(self, x: Tensor) -> Tensor:
        b, t, h, w, _ = x.shape
        block: Any = self.transformer_blocks[0]
        hidden = self.proj_in(self.norm(x)).view(b, t, h * w, -1)
        hidden = hidden + block.attn1(block.norm1(hidden), over_time=True)
        hidden = hidden + block.attn2(block.norm2(hidden), over_time=True)
        hidden = hidden + block.ff(block.norm3(hidden))
        out: Tensor = x + self.proj_out(hidden).view(x.shape)
        return out
