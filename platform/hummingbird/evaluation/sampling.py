"""The one place where evaluation and benchmarks call a pipeline: how videos are sampled, whole or part by part."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hummingbird.models.pipeline import TextToVideoPipeline


@dataclass(frozen=True)
class SamplingParameters:
    """How videos are sampled.

    Attributes:
        num_inference_steps: denoising steps.
        guidance_scale: s of uncond + s (cond - uncond), or what a few-step student embeds.
        decoder: ``full`` (the autoencoder's) or ``small``.
        num_frames, fps: of a video.
    """

    num_inference_steps: int
    guidance_scale: float
    decoder: str = "full"
    num_frames: int = 16
    fps: int = 8


def sample_videos(
    pipeline: TextToVideoPipeline,
    prompts: Sequence[str],
    seeds: Sequence[int],
    parameters: SamplingParameters,
) -> NDArray[np.uint8]:
    """Videos (B, T, H, W, 3) uint8 RGB, one a prompt; each depends on its prompt and seed alone."""
    frames = pipeline(
        list(prompts),
        seeds=list(seeds),
        steps=parameters.num_inference_steps,
        guidance=parameters.guidance_scale,
        num_frames=parameters.num_frames,
        fps=parameters.fps,
        decoder=parameters.decoder,
    )
    return np.asarray(frames.numpy())


def denoise(
    pipeline: TextToVideoPipeline, text: Tensor, seeds: Sequence[int], parameters: SamplingParameters
) -> Tensor:
    """Latents (B, C, T, h, w) for text embeddings (B, L, D) of the pipeline's ``encode_prompts``."""
    return pipeline.sample(
        text,
        [torch.Generator().manual_seed(seed) for seed in seeds],
        parameters.num_inference_steps,
        parameters.guidance_scale,
        parameters.num_frames,
        parameters.fps,
    )


def decode_frames(
    pipeline: TextToVideoPipeline, latents: Tensor, parameters: SamplingParameters
) -> NDArray[np.uint8]:
    """Videos (B, T, H, W, 3) uint8 RGB of latents, on the CPU."""
    with torch.no_grad():
        pixels = pipeline.decode(latents, parameters.decoder)
        return (pixels * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 1, 3, 4, 2).cpu().numpy()
