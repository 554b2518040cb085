"""Small decoders: one that is trained to show what latents hold as a full decoder or the true frames show it.

The network is that of TAESD (github.com/madebyollin/taesd), diffusers' `AutoencoderTiny`, whose encoder stays unused.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, AutoencoderTiny
from torch import Tensor, nn

from hummingbird.core.errors import InputError
from hummingbird.training.methods.base import (
    STUDENT,
    Losses,
    Method,
    MethodCost,
    TrainedNetwork,
    TrainingStep,
)

Pairs = Callable[[TrainingStep], tuple[Tensor, Tensor]]
"""Scaled latents (N, C, h, w) of a step's batch, and the frames (N, 3, H, W) in -1..1 that they are to show."""
Distance = Callable[[Tensor, Tensor], Tensor]
"""How far frames (N, 3, H, W) in -1..1 are from others, a scalar."""
DECODE_PIXELS = 1 << 20
"""Decoded at a time by the full decoder: 6 frames of 320 x 512."""


def small_decoder(latent_channels: int, channels: int, blocks: tuple[int, ...]) -> AutoencoderTiny:
    """An untrained one; every entry of ``blocks`` after the first doubles height and width."""
    stages = len(blocks)
    return AutoencoderTiny(
        encoder_block_out_channels=(8,) * stages,
        decoder_block_out_channels=(channels,) * stages,
        num_encoder_blocks=(0,) * stages,
        num_decoder_blocks=blocks,
        latent_channels=latent_channels,
    )


class DecoderOnly(nn.Module):
    """A small autoencoder as a network from scaled latents to frames; its encoder is frozen."""

    def __init__(self, model: AutoencoderTiny) -> None:
        super().__init__()
        self.model = model  # its weights as they are: DeepSpeed takes none that are stored channels last
        self.model.encoder.requires_grad_(False)

    def forward(self, latents: Tensor) -> Tensor:
        """Frames (N, 3, H, W) in about -1..1 of scaled latents (N, C, h, w)."""
        frames: Tensor = self.model.decode(latents.contiguous(memory_format=torch.channels_last)).sample
        return frames

    @property
    def gradient_checkpointing(self) -> bool:
        """Whether activations are computed again in the backward pass."""
        return bool(self.model.decoder.gradient_checkpointing)

    @gradient_checkpointing.setter
    def gradient_checkpointing(self, on: bool) -> None:
        if on:
            self.model.enable_gradient_checkpointing()
        else:
            self.model.disable_gradient_checkpointing()

    def save_pretrained(self, folder: Any) -> None:
        """The autoencoder, in diffusers' format."""
        self.model.save_pretrained(folder)


class DecoderDistillation(Method):
    """A small decoder learns to show frames: pixels, their gradients and, where they are given, a model's features."""

    def __init__(
        self, network: DecoderOnly, pairs: Pairs, pixels: Distance, features: Distance | None = None
    ) -> None:
        self.networks = {STUDENT: TrainedNetwork(network, betas=(0.9, 0.99))}
        self._pairs, self._pixels, self._features = pairs, pixels, features

    def losses(self, network: str, step: TrainingStep) -> Losses:
        """Terms: ``pixels``, and ``features`` where there are some; the latter is logged with its weight."""
        latents, true = self._pairs(step)
        decoder: Any = step.networks[STUDENT]
        decoded = decoder(latents).float()
        terms = {"pixels": self._pixels(decoded, true)}
        if self._features is not None:
            terms["features"] = self._features(decoded, true)
        total = torch.stack(list(terms.values())).sum()
        return Losses(total, {name: term.detach() for name, term in terms.items()})

    @classmethod
    def cost(cls, settings: Any, batch: int, rewarded: bool) -> MethodCost:
        """One pass with its backward pass; the full decoder's is not counted, which is no U-Net's."""
        return MethodCost(teacher_passes=0, student_passes=0, trained_passes=1)


class FullDecoderPairs:
    """What the full decoder shows of a batch's latents, at random frames and places.

    Args:
        vae: the autoencoder, on the networks' device; it is frozen.
        frames: of each clip; all where a clip has fewer.
        crop: side of the square of latents; none, or where the latents are smaller: all.
    """

    def __init__(self, vae: AutoencoderKL, frames: int, crop: int | None) -> None:
        self.vae = vae.requires_grad_(False).eval()
        self._frames, self._crop = frames, crop

    def __call__(self, step: TrainingStep) -> tuple[Tensor, Tensor]:
        """See `Pairs`; clips of a batch have places of their own."""
        draw = step.host_generator
        rows = [self._drawn(clip, draw) for clip in step.batch["latents"].transpose(1, 2)]
        latents = torch.cat(rows)
        return latents, full_frames(self.vae, latents)

    def _drawn(self, clip: Tensor, draw: torch.Generator) -> Tensor:
        chosen = torch.randperm(len(clip), generator=draw, device=draw.device)[: self._frames]
        part = clip[chosen.to(clip.device)]
        for axis in (2, 3) if self._crop else ():
            size = part.shape[axis]
            side = min(self._crop or size, size)
            start = int(torch.randint(size - side + 1, (1,), generator=draw, device=draw.device))
            part = part.narrow(axis, start, side)
        return part


@torch.no_grad()
def full_frames(vae: AutoencoderKL, latents: Tensor) -> Tensor:
    """Frames (N, 3, H, W) in -1..1 that the full decoder makes of scaled latents (N, C, h, w), in float32."""
    pixels = 4 ** (len(vae.config.block_out_channels) - 1) * latents.shape[2] * latents.shape[3]
    with torch.autocast(latents.device.type, enabled=False):
        parts = (latents.float() / vae.config.scaling_factor).split(max(1, DECODE_PIXELS // pixels))
        return torch.cat([vae.decode(part).sample.clamp(-1, 1) for part in parts])


def pixel_loss(decoded: Tensor, true: Tensor, scales: int = 1, saturation_weight: float = 0.0) -> Tensor:
    """L1 and squared error of pixels, and squared error of their differences along both axes.

    Squares on the differences: L1 there is least for no edge at all until edges are placed to a pixel.

    Args:
        decoded, true: (N, 3, H, W) in -1..1.
        scales: sizes at which differences are compared, each half the one before; the mean of them counts. No more
            than the picture can be halved.
        saturation_weight: how much more a fully saturated pixel counts than a gray one.
    """
    weight = 1 + saturation_weight * (true.amax(1, keepdim=True) - true.amin(1, keepdim=True))
    loss = (weight * (0.5 * (decoded - true).abs() + 5 * (decoded - true).square())).mean() / weight.mean()
    scales = min(scales, max(1, min(true.shape[2:]).bit_length() - 1))
    for scale in range(scales):
        if scale:
            decoded, true, weight = (F.avg_pool2d(one, 2) for one in (decoded, true, weight))
        for axis in (-1, -2):
            error = (decoded.diff(dim=axis) - true.diff(dim=axis)).square()
            at_edge = weight.narrow(axis, 1, weight.shape[axis] - 1)
            loss = loss + 2 / scales * (at_edge * error).mean() / at_edge.mean()
    return loss


def fitting_stages(vae: AutoencoderKL, blocks: tuple[int, ...]) -> None:
    """Checks that a small decoder enlarges as much as the autoencoder's. Raises InputError where it does not."""
    stages = len(vae.config.block_out_channels)
    if len(blocks) != stages:
        raise InputError(
            f"decoder.blocks={list(blocks)}: this autoencoder makes pictures {2 ** (stages - 1)} times as large as its "
            f"latents: give {stages} numbers"
        )
