"""The one place where evaluation and benchmarks call a pipeline: how videos are sampled, whole or part by part."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hummingbird.models.pipeline import TextToVideoPipeline
from hummingbird.models.video import seeded_generators, to_uint8


@dataclass(frozen=True)
class SamplingParameters:
    """How videos are sampled.

    Attributes:
        num_inference_steps: denoising steps.
        guidance_scale: s of uncond + s (cond - uncond), or what a few-step student embeds.
        decoder: ``full`` (the autoencoder's) or ``small``.
        num_frames, fps: of a video.
        window_frames: frames that a pass sees; none: all.
    """

    num_inference_steps: int
    guidance_scale: float
    decoder: str = "full"
    num_frames: int = 16
    fps: int = 8
    window_frames: int | None = None


def sample_videos(
    pipeline: TextToVideoPipeline,
    prompts: Sequence[str],
    seeds: Sequence[int],
    parameters: SamplingParameters,
) -> NDArray[np.uint8]:
    """Videos (B, T, H, W, 3) uint8 RGB, one a prompt; each depends on its prompt and seed alone."""
    output = pipeline(
        list(prompts),
        generator=seeded_generators(seeds),
        decoder=parameters.decoder,
        output_type="pt",
        **_options(parameters),
    )
    return to_uint8(output.frames)


def denoise(
    pipeline: TextToVideoPipeline, text: Tensor, seeds: Sequence[int], parameters: SamplingParameters
) -> Tensor:
    """Latents (B, C, T, h, w) for text embeddings (B, L, D) of the pipeline's ``encode_prompts``."""
    output = pipeline(
        prompt_embeds=text,
        generator=seeded_generators(seeds),
        output_type="latent",
        **_options(parameters),
    )
    latents: Tensor = output.frames
    return latents


def decode_frames(
    pipeline: TextToVideoPipeline, latents: Tensor, parameters: SamplingParameters
) -> NDArray[np.uint8]:
    """Videos (B, T, H, W, 3) uint8 RGB of latents, on the CPU."""
    with torch.no_grad():
        return to_uint8(pipeline.decode(latents, parameters.decoder))


def _options(parameters: SamplingParameters) -> dict[str, Any]:
    return {
        "num_inference_steps": parameters.num_inference_steps,
        "guidance_scale": parameters.guidance_scale,
        "num_frames": parameters.num_frames,
        "fps": parameters.fps,
        "window_frames": parameters.window_frames,
    }
