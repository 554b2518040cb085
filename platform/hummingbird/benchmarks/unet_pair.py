"""The two U-Nets that the benchmark compares: same structure, same weights, same input; compiled in place."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import UNet3DConditionModel
from torch import Tensor, nn

from hummingbird.config.unet_benchmark import UnetBenchmarkSettings
from hummingbird.models.architectures import unet_config
from hummingbird.models.unet import VideoUNet

Inputs = tuple[Tensor, Tensor, Tensor]
DIFFUSERS_BLOCKS = ("ResnetBlock2D", "TemporalConvLayer", "Transformer2DModel", "TransformerTemporalModel")
VARIANTS = 256
"""Compiled versions of one block's code: every width, size and type of numbers makes one, and torch stops at 8."""


@dataclass(frozen=True)
class TimedUNet:
    """A model, run as it was compiled, or as if it had not been."""

    model: nn.Module
    compiled: bool


def unet_structure(s: UnetBenchmarkSettings) -> dict[str, Any]:
    """The configuration of ours."""
    return unet_config(
        s.widths,
        in_channels=s.in_channels,
        head_size=s.head_size,
        text_width=s.text_width,
        embed_fps=False,
        dropout=0.0,
    )


def equal_pair(s: UnetBenchmarkSettings) -> tuple[VideoUNet, UNet3DConditionModel]:
    """Ours and diffusers', with the same random weights, on the device."""
    stages = len(s.widths)
    with torch.device(s.device):
        theirs = UNet3DConditionModel(
            in_channels=s.in_channels,
            out_channels=s.in_channels,
            block_out_channels=s.widths,
            down_block_types=("CrossAttnDownBlock3D",) * (stages - 1) + ("DownBlock3D",),
            up_block_types=("UpBlock3D",) + ("CrossAttnUpBlock3D",) * (stages - 1),
            cross_attention_dim=s.text_width,
            attention_head_dim=s.head_size,
        )
        for parameter in theirs.parameters():  # branches that end in zeros would hide what they do
            parameter.data += 0.02 * torch.randn_like(parameter)
        ours = VideoUNet(**unet_structure(s))
    ours.load_state_dict(theirs.state_dict())
    ours.gradient_checkpointing = s.gradient_checkpointing  # diffusers' has none
    return ours.eval(), theirs.eval()


def draw_inputs(s: UnetBenchmarkSettings) -> Inputs:
    """Latents (B, C, T, h, w), timesteps (B,) and text (B, L, D)."""
    sample = torch.randn(s.batch_size, s.in_channels, s.num_frames, s.height, s.width)
    text = torch.randn(s.batch_size, s.text_length, s.text_width)
    timesteps = torch.randint(0, 1000, (s.batch_size,))
    return sample.to(s.device), timesteps.to(s.device), text.to(s.device)


def compile_pair(s: UnetBenchmarkSettings, ours: VideoUNet, theirs: UNet3DConditionModel) -> None:
    """Compiles both in place: ours block by block, which compiles each kind of block once."""
    limits: Any = torch._dynamo.config
    limits.recompile_limit = max(limits.recompile_limit, VARIANTS)
    ours.compile_repeated_blocks(dynamic=False)
    if s.compile_diffusers == "whole":
        theirs.compile(dynamic=False)
    elif s.compile_diffusers == "blocks":
        for module in theirs.modules():
            if type(module).__name__ in DIFFUSERS_BLOCKS:
                module.compile(dynamic=False)


def timed_unets(
    s: UnetBenchmarkSettings, ours: VideoUNet, theirs: UNet3DConditionModel, compiled: bool
) -> Mapping[str, TimedUNet]:
    """By name, diffusers' first; the compiled ones too where asked for."""
    models: dict[str, nn.Module] = {"diffusers": theirs, "hummingbird": ours}
    timed = {name: TimedUNet(model, False) for name, model in models.items()}
    if compiled and s.compile_diffusers != "none":
        timed["diffusers, compiled"] = TimedUNet(theirs, True)
    if compiled:
        timed["hummingbird, compiled"] = TimedUNet(ours, True)
    return timed


def predicted_noise(model: nn.Module, inputs: Inputs) -> Tensor:
    """The predicted noise of either."""
    output: Any = model(*inputs)
    noise: Tensor = output if isinstance(output, Tensor) else output.sample
    return noise
