"""The video U-Net: one class for every teacher and every pruned student; its configuration is its architecture."""

from collections.abc import Sequence
from typing import Any

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .embeddings import TimestepEmbedding, guidance_embedding, sinusoidal_embedding
from .layers import (
    GroupNorm,
    ResnetBlock,
    SpatialTransformer,
    TemporalConv,
    TemporalTransformer,
    Transformer,
    image_conv,
)
from .stages import StageSpec, UNetSpec

PLACE_SCALE = 10.0  # radians of the fastest wave between neighboring frames


class UNetStage(nn.Module):
    """The layers of one resolution. A layer: residual block, temporal convolution, spatial and temporal attention."""

    def __init__(self, stage: StageSpec, inputs: Sequence[int], spec: UNetSpec, cfg: Any) -> None:
        super().__init__()
        self.resnets = nn.ModuleList()
        # A layer that has no such part leaves a gap in the numbering, so a part keeps its layer's number.
        self.temp_convs, self.attentions, self.temp_attentions = (
            nn.ModuleDict(),
            nn.ModuleDict(),
            nn.ModuleDict(),
        )
        width, groups, embedding = stage.width, cfg.norm_groups, spec.base_width * 4
        for index, (layer, channels) in enumerate(zip(stage.layers, inputs, strict=True)):
            self.resnets.append(ResnetBlock(channels, width, embedding, groups, layer.shortcut))
            key, of = str(index), spec.widths(stage, layer)
            if layer.temporal_conv:
                self.temp_convs[key] = TemporalConv(width, groups, cfg.dropout)
            if layer.attention:
                self.attentions[key] = SpatialTransformer(
                    width, of.heads, spec.head_size, groups, of.feed_forward, spec.text_width, of.inner
                )
            if layer.temporal_attention:
                self.temp_attentions[key] = TemporalTransformer(
                    width, of.heads, spec.head_size, groups, of.feed_forward, inner=of.inner
                )

    def layer(self, index: int, x: Tensor, embedding: Tensor, text: Tensor) -> Tensor:
        key = str(index)
        x = self.resnets[index](x, embedding)
        if key in self.temp_convs:
            x = self.temp_convs[key](x)
        if key in self.attentions:
            x = self.attentions[key](x, text)
        if key in self.temp_attentions:
            x = self.temp_attentions[key](x)
        return x


class DownStage(UNetStage):
    def __init__(self, stage: StageSpec, channels: int, spec: UNetSpec, cfg: Any) -> None:
        width = stage.width
        super().__init__(stage, [channels] + [width] * (len(stage.layers) - 1), spec, cfg)
        self.downsamplers = nn.ModuleList([Downsample(width)] if stage.sample else [])


class UpStage(UNetStage):
    def __init__(
        self, stage: StageSpec, channels: int, skips: dict[str, int], spec: UNetSpec, cfg: Any
    ) -> None:
        width = stage.width
        extra = [skips[layer.skip] if layer.skip else 0 for layer in stage.layers]
        carried = [channels] + [width] * (len(stage.layers) - 1)
        super().__init__(stage, [a + b for a, b in zip(carried, extra, strict=True)], spec, cfg)
        self.upsamplers = nn.ModuleList([Upsample(width)] if stage.sample else [])


class MiddleStage(nn.Module):
    """Residual block, attention, residual block at the lowest resolution."""

    def __init__(self, width: int, cfg: Any) -> None:
        super().__init__()
        groups, embedding, heads = cfg.norm_groups, cfg.base_width * 4, width // cfg.head_size
        self.resnets = nn.ModuleList([ResnetBlock(width, width, embedding, groups) for _ in range(2)])
        self.temp_convs = nn.ModuleList([TemporalConv(width, groups, cfg.dropout) for _ in range(2)])
        self.attentions = nn.ModuleList(
            [SpatialTransformer(width, heads, cfg.head_size, groups, width * 4, cfg.text_width)]
        )
        self.temp_attentions = nn.ModuleList(
            [TemporalTransformer(width, heads, cfg.head_size, groups, width * 4)]
        )

    def forward(self, x: Tensor, embedding: Tensor, text: Tensor) -> Tensor:
        x = self.temp_convs[0](self.resnets[0](x, embedding))
        x = self.temp_attentions[0](self.attentions[0](x, text))
        x = self.temp_convs[1](self.resnets[1](x, embedding))
        return x


class Downsample(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return image_conv(self.conv, x)


class Upsample(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        b, t, h, w, c = x.shape
        # Nearest neighbor, on tokens.
        doubled = x[:, :, :, None, :, None].expand(b, t, h, 2, w, 2, c).reshape(b, t, h * 2, w * 2, c)
        return image_conv(self.conv, doubled)


class VideoUNet(ModelMixin, ConfigMixin):
    """Predicts the noise in video latents, or the velocity (see `VideoScheduler`), from timestep, text, frame rate and,
    for few-step students, guidance.

    Args:
        in_channels: latent channels, in and out.
        base_width: width of the first convolution; the timestep embedding is four times as wide.
        down_stages, up_stages: one entry a resolution, ``{"width", "sample", "layers"}``, and each layer's own:
            see `StageSpec` and `LayerSpec`.
        middle: whether there is a middle block.
        head_size: channels of an attention head.
        text_width: channels of the text embedding.
        embed_fps: whether the frame rate is embedded and added to the timestep's embedding.
        embed_places: whether each frame's place in the clip is. VideoCrafter2 does without: there the ends of the
            clip show through the padding of the temporal convolutions, from which a small model learns it slowly.
        guidance_size: size of the guidance-scale embedding of few-step students, or None.
        dropout: of the temporal convolutions in training.
        first_temporal_heads: heads of the temporal transformer right after the first convolution; 0 for none.

    Structure: VideoCrafter2 (arXiv 2401.09047); names: diffusers' ``UNet3DConditionModel``.
    """

    _supports_gradient_checkpointing = True
    _repeated_blocks = ("ResnetBlock", "TemporalConv", "SpatialTransformer", "TemporalTransformer")

    @register_to_config
    def __init__(
        self,
        in_channels: int = 4,
        base_width: int = 320,
        down_stages: Sequence[dict[str, Any]] = (),
        up_stages: Sequence[dict[str, Any]] = (),
        middle: bool = True,
        head_size: int = 64,
        text_width: int = 1024,
        norm_groups: int = 32,
        embed_fps: bool = True,
        embed_places: bool = False,
        guidance_size: int | None = None,
        first_temporal_heads: int = 8,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        cfg = self.config
        self.spec = spec = UNetSpec.of(cfg)
        spec.check()
        self.conv_in = nn.Conv2d(in_channels, base_width, 3, padding=1)
        self.time_embedding = TimestepEmbedding(base_width, base_width * 4, guidance_size)
        self.fps_embedding = TimestepEmbedding(base_width, base_width * 4) if embed_fps else None
        self.place_embedding = TimestepEmbedding(base_width, base_width * 4) if embed_places else None
        self.transformer_in = (
            TemporalTransformer(
                base_width, first_temporal_heads, head_size, norm_groups, first_temporal_heads * head_size * 4
            )
            if first_temporal_heads
            else None
        )
        self.down_blocks = nn.ModuleList()
        skips = {"conv_in": base_width}
        channels = base_width
        for index, stage in enumerate(spec.down):
            self.down_blocks.append(DownStage(stage, channels, spec, cfg))
            channels = stage.width
            skips |= {f"down.{index}.{layer}": channels for layer in range(len(stage.layers))}
            if stage.sample:
                skips[f"down.{index}.sample"] = channels
        self.mid_block = MiddleStage(channels, cfg) if middle else None
        self.up_blocks = nn.ModuleList()
        for stage in spec.up:
            self.up_blocks.append(UpStage(stage, channels, skips, spec, cfg))
            channels = stage.width
        self.conv_norm_out = GroupNorm(norm_groups, channels, 1e-5, silu=True)
        self.conv_out = nn.Conv2d(channels, in_channels, 3, padding=1)
        self.gradient_checkpointing = False
        self._start_at_zero()

    def forward(
        self,
        sample: Tensor,
        timestep: Tensor,
        encoder_hidden_states: Tensor,
        fps: Tensor | None = None,
        guidance: Tensor | None = None,
        return_features: bool = False,
        places: Tensor | None = None,
    ) -> Any:
        """Predict the noise.

        Args:
            sample: noisy latents (B, C, T, H, W).
            timestep: (B,) of 0..999.
            encoder_hidden_states: text embeddings (B, L, text_width).
            fps: frames a second (B,); needed where the model embeds it.
            guidance: guidance scale (B,); needed where the model embeds it.
            places: of the frames in their clip (B, T), where the model embeds them; none: 0 to T - 1.
            return_features: also return the output of every stage, (B, T, h, w, c) each: down, middle, up.

        Returns:
            The noise (B, C, T, H, W), or (noise, features).

        Raises:
            ValueError: an embedded condition was not given.
        """
        embedding = self.embed(timestep, fps, guidance, sample.dtype)
        if self.place_embedding is not None:
            if places is None:
                places = torch.arange(sample.shape[2], device=sample.device)[None]
            signal = sinusoidal_embedding(PLACE_SCALE * places.flatten(), self.config.base_width)
            embedded_places = self.place_embedding(signal.to(sample.dtype)).unflatten(0, places.shape)
            embedding = embedding[:, None] + embedded_places
        embedding = nn.functional.silu(embedding)
        text = encoder_hidden_states
        x = image_conv(self.conv_in, sample.permute(0, 2, 3, 4, 1).contiguous())
        if self.transformer_in is not None:
            x = self._run(self.transformer_in, x)
        skips = {"conv_in": x}
        features: list[Tensor] = []
        stage: Any
        for index, stage in enumerate(self.down_blocks):
            for layer in range(len(stage.resnets)):
                x = self._run(stage.layer, layer, x, embedding, text)
                skips[f"down.{index}.{layer}"] = x
            features.append(x)
            for sampler in stage.downsamplers:
                x = sampler(x)
                skips[f"down.{index}.sample"] = x
        if self.mid_block is not None:
            x = self._run(self.mid_block, x, embedding, text)
            features.append(x)
        for spec, stage in zip(self.spec.up, self.up_blocks, strict=True):
            for layer, parts in enumerate(spec.layers):
                if parts.skip:
                    x = torch.cat([x, skips[parts.skip]], dim=-1)
                x = self._run(stage.layer, layer, x, embedding, text)
            features.append(x)
            for sampler in stage.upsamplers:
                x = sampler(x)
        b, t = x.shape[:2]
        x = self.conv_norm_out(x.flatten(0, 1)).unflatten(0, (b, t))
        noise = image_conv(self.conv_out, x).permute(0, 4, 1, 2, 3)
        return (noise, features) if return_features else noise

    def _start_at_zero(self) -> None:
        """Zero what ends a residual branch, and the output: a fresh U-Net is the identity on its skips."""
        ends: list[nn.Module] = [self.conv_out]
        ends += [m.conv2 for m in self.modules() if isinstance(m, ResnetBlock)]
        ends += [m.proj_out for m in self.modules() if isinstance(m, Transformer)]
        for end in ends:
            for parameter in end.parameters():
                nn.init.zeros_(parameter)

    def embed(
        self, timestep: Tensor, fps: Tensor | None, guidance: Tensor | None, dtype: torch.dtype
    ) -> Tensor:
        """What all frames share of the conditioning vector (B, 4 base_width), before SiLU."""
        width: int = self.config.base_width
        signal = sinusoidal_embedding(timestep, width).to(dtype)
        condition = None
        if self.config.guidance_size:
            if guidance is None:
                raise ValueError("this model embeds the guidance scale: pass guidance=(B,)")
            condition = guidance_embedding(guidance, self.config.guidance_size).to(dtype)
        embedding = self.time_embedding(signal, condition)
        if self.fps_embedding is not None:
            if fps is None:
                raise ValueError("this model embeds the frame rate: pass fps=(B,)")
            embedding = embedding + self.fps_embedding(sinusoidal_embedding(fps, width).to(dtype))
        return embedding

    def _run(self, function: Any, *args: Any) -> Tensor:
        if self.gradient_checkpointing and torch.is_grad_enabled():
            return checkpoint(function, *args, use_reentrant=False)
        return function(*args)
