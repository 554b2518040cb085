"""The frame-wise KL autoencoder, trained on drawn frames."""

from functools import partial
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from torch import Tensor

from hummingbird.config.settings import Settings
from hummingbird.core.devices import resolve_device
from hummingbird.pretraining.method import pretrain_network
from hummingbird.pretraining.prefetch import drawn_batches
from hummingbird.shapes.scene import SIZE, render, sample_scene
from hummingbird.training.decoder_quality import psnr
from hummingbird.training.latent_cache import Batch
from hummingbird.training.methods.base import TrainingStep
from hummingbird.training.methods.decoding import pixel_loss

LATENT_CHANNELS = 16
BATCH = 12
KL_WEIGHT = 1e-6


def make_autoencoder() -> AutoencoderKL:
    """8 times smaller in height and width, 16 latent channels; Stable Diffusion's class at a small width."""
    widths = (16, 32, 64, 64)
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=widths,
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=8,
        sample_size=SIZE,
        mid_block_add_attention=False,
    )


def draw_frames(seed: int, count: int, step: int) -> NDArray[np.uint8]:
    """Frames of random scenes at random times, uint8 (count, SIZE, SIZE, 3); four a scene."""
    rng = np.random.default_rng((seed, step))
    frames: list[NDArray[np.uint8]] = []
    while 4 * len(frames) < count:
        scene = sample_scene(rng, duration=float(rng.uniform(2.0, 3.6)))
        frames.append(render(scene, rng.uniform(0, scene.duration, 4)))
    return np.concatenate(frames)[:count]


def frame_batch(seed: int, count: int, step: int) -> Batch:
    """``frames`` of a training step, see `draw_frames`."""
    return {"frames": draw_frames(seed, count, step)}


def to_pixels(frames: NDArray[np.uint8], device: str) -> Tensor:
    """(N, 3, H, W) in [-1, 1]."""
    return torch.from_numpy(frames).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1


SATURATION_WEIGHT = 4.0
"""Saturated pixels count more: the shapes take a tenth of the area and carry all that a prompt asks for."""


def pretrain_autoencoder(folder: Path, settings: Settings) -> dict[str, float]:
    """Train it and save it as ``folder/vae``.

    Where ``pretrain.start`` names a folder with ``vae``, the encoder stays as it is, so that latents and models of them
    stay valid.

    Returns:
        Training facts, and ``psnr``, the peak signal-to-noise ratio in dB on frames of another seed.
    """
    seed, s = settings.seed, settings.pretrain
    torch.manual_seed(seed)
    device = resolve_device(s.device, "pretrain.device")
    vae = make_autoencoder().to(device)
    if s.start:
        vae.load_state_dict(AutoencoderKL.from_pretrained(s.start / "vae").state_dict())
        vae.encoder.requires_grad_(False)
        vae.quant_conv.requires_grad_(False)

    def losses(step: TrainingStep) -> dict[str, Tensor]:
        true = to_pixels(step.batch["frames"], device)
        posterior = vae.encode(true).latent_dist
        latents = posterior.sample()
        decoded = vae.decode(latents).sample
        return {
            "pixels": pixel_loss(decoded.float(), true, saturation_weight=SATURATION_WEIGHT),
            "kl": KL_WEIGHT * posterior.kl().mean() / latents[0].numel(),
        }

    data = partial(drawn_batches, partial(frame_batch, seed, BATCH * s.batch_factor), s.processes)
    facts = pretrain_network(vae, losses, data, folder, seed, s, ema_decay=0.998)
    vae.eval()
    with torch.no_grad():
        true = to_pixels(draw_frames(seed, 256, 2**32), device)
        latents = vae.encode(true).latent_dist.mean
        scale = (
            AutoencoderKL.load_config(s.start / "vae")["scaling_factor"]
            if s.start
            else float(1 / latents.std())
        )
        vae.register_to_config(scaling_factor=scale)
        facts["psnr"] = psnr(vae.decode(latents).sample, true)
    vae.save_pretrained(folder / "vae")
    return facts
