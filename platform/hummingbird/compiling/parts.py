"""The parts of a pipeline as modules of tensors alone, for compilers and exporters."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from hummingbird.core.errors import InputError
from hummingbird.models.pipeline import DECODE_BATCH, TextToVideoPipeline


class NoisePart(nn.Module):
    """The U-Net's forward pass with float32 in and out, whatever it computes in."""

    def __init__(self, unet: nn.Module) -> None:
        super().__init__()
        self.unet = unet

    def forward(self, sample: Tensor, timestep: Tensor, text: Tensor, *conditions: Tensor) -> Tensor:
        dtype = next(self.unet.parameters()).dtype
        noise: Tensor = self.unet(sample.to(dtype), timestep, text.to(dtype), *conditions)
        return noise.float()


class TextPart(nn.Module):
    """Token ids and mask (B, L) to embeddings (B, L, D)."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        embedding: Tensor = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return embedding


class PixelPart(nn.Module):
    """Latents (N, C, h, w) to pixels (N, 3, H, W) in -1..1."""

    def __init__(self, decoder: Any) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, latents: Tensor) -> Tensor:
        dtype = next(self.decoder.parameters()).dtype
        latents = latents.to(dtype).contiguous(memory_format=torch.channels_last)
        pixels: Tensor = self.decoder.decode(latents).sample
        return pixels.float().contiguous()


@dataclass(frozen=True)
class TensorPart:
    """A module, random inputs for a batch size, and the largest batch.

    The first dimension of every input and of the output is the batch: videos, or frames for the decoder.
    """

    module: nn.Module
    inputs: Callable[[int], tuple[Tensor, ...]]
    max_batch_size: int

    def free_batch(self, shown: tuple[Tensor, ...]) -> tuple[Any, ...]:
        """`torch.export`'s ``dynamic_shapes`` for a batch of any size up to the largest."""
        spec = tuple({0: torch.export.Dim("batch", min=1, max=self.max_batch_size)} for _ in shown)
        # Trailing ``*conditions`` are one argument to export.
        return (*spec[:3], spec[3:]) if isinstance(self.module, NoisePart) else spec


Decoder = Literal["small", "full"]


def chosen_decoders(pipeline: TextToVideoPipeline, setting: str) -> tuple[Decoder, ...]:
    """Which decoders "small", "full" or "both" means; of both, the small one first, where there is one.

    Raises:
        InputError: the pipeline has no small decoder.
    """
    if setting == "both":
        return ("full",) if pipeline.decoder is None else ("small", "full")
    if setting == "small" and pipeline.decoder is None:
        raise InputError(
            "this pipeline has no small decoder: set compile.decoder=full (to export: export.decoder=full)"
        )
    return ("small",) if setting == "small" else ("full",)


def decoder_part(decoders: Sequence[str], decoder: str) -> str:
    """The name of a decoder's part: the first of a package is its ``decoder``."""
    return "decoder" if decoder == decoders[0] else f"decoder_{decoder}"


def tensor_parts(
    pipeline: TextToVideoPipeline, num_frames: int, decoders: Sequence[Decoder], max_batch_size: int
) -> dict[str, TensorPart]:
    """Text encoder, U-Net and decoders, in evaluation without gradients."""
    family, frames = pipeline.family, num_frames
    channels, size = family.latent_channels, family.latent_shape()
    length, vocabulary = family.text_tokens, pipeline.text_encoder.config.vocab_size

    def noise_inputs(batch: int) -> tuple[Tensor, ...]:
        sample = torch.randn(batch, channels, frames, *size)
        conditions = [torch.full((batch,), 8.0)]
        if family.embeds_guidance:
            conditions.append(torch.full((batch,), 7.5))
        text = torch.randn(batch, length, family.spec.text_width)
        return sample, torch.randint(0, 1000, (batch,)), text, *conditions

    def text_inputs(batch: int) -> tuple[Tensor, ...]:
        # Captions of every length: the mask is part of what is compared.
        lengths = torch.randint(2, length + 1, (batch, 1))
        mask = (torch.arange(length)[None] < lengths).long()
        return torch.randint(0, vocabulary, (batch, length)), mask

    def pixel_inputs(batch: int) -> tuple[Tensor, ...]:
        return (torch.randn(batch, channels, *size),)

    parts = {
        "text_encoder": TensorPart(TextPart(pipeline.text_encoder), text_inputs, max_batch_size),
        "unet": TensorPart(NoisePart(pipeline.unet), noise_inputs, max_batch_size),
    }
    for decoder in decoders:
        decodes = PixelPart(pipeline.decoder if decoder == "small" else pipeline.vae)
        parts[decoder_part(decoders, decoder)] = TensorPart(decodes, pixel_inputs, DECODE_BATCH)
    for part in parts.values():
        part.module.eval().requires_grad_(False)
    return parts
