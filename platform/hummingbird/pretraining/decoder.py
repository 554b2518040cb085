"""The small decoder of the autoencoder's latents, trained on drawn frames."""

from functools import partial
from pathlib import Path

import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from torch import Tensor

from hummingbird.config.settings import Settings
from hummingbird.core.devices import resolve_device
from hummingbird.pretraining.autoencoder import (
    BATCH,
    LATENT_CHANNELS,
    draw_frames,
    frame_batch,
    pixel_loss,
    psnr,
    to_pixels,
)
from hummingbird.pretraining.card import weights_folder
from hummingbird.pretraining.method import pretrain_network
from hummingbird.pretraining.prefetch import drawn_batches
from hummingbird.training.methods.base import TrainingStep


def make_decoder() -> AutoencoderTiny:
    """TAESD's class, deep where pixels are few; its encoder stays untrained at the least size, as it is not used."""
    return AutoencoderTiny(
        encoder_block_out_channels=(8, 8, 8, 8),
        decoder_block_out_channels=(32, 32, 32, 32),
        num_encoder_blocks=(0, 0, 0, 0),
        num_decoder_blocks=(6, 6, 2, 0),
        latent_channels=LATENT_CHANNELS,
    )


def pretrain_decoder(folder: Path, settings: Settings) -> dict[str, float]:
    """Train it on the latents of the shipped autoencoder and save it as ``folder/decoder``.

    Where ``pretrain.start`` names a folder, that one's ``decoder`` is taken up again.

    Returns:
        Training facts, and ``psnr``, the peak signal-to-noise ratio in dB on frames of another seed.
    """
    seed, s = settings.seed, settings.pretrain
    torch.manual_seed(seed)
    device = resolve_device(s.device, "pretrain.device")
    vae = AutoencoderKL.from_pretrained(weights_folder(settings) / "components" / "vae").to(device)
    vae.requires_grad_(False).eval()
    decoder = make_decoder()
    if s.start:
        decoder.load_state_dict(AutoencoderTiny.from_pretrained(s.start / "decoder").state_dict())
    # channels last: 1.6 times faster in bf16 on a CPU
    decoder.to(device, memory_format=torch.channels_last)

    def scaled(latents: Tensor) -> Tensor:
        return (latents * vae.config.scaling_factor).contiguous(memory_format=torch.channels_last)

    def losses(step: TrainingStep) -> dict[str, Tensor]:
        true = to_pixels(step.batch["frames"], device)
        with torch.no_grad():
            latents = scaled(vae.encode(true).latent_dist.sample())
        return {"pixels": pixel_loss(decoder.decode(latents).sample.float(), true)}

    data = partial(drawn_batches, partial(frame_batch, seed, BATCH * s.batch_factor), s.processes)
    facts = pretrain_network(decoder, losses, data, folder, seed, s, ema_decay=0.998)
    decoder.eval()
    with torch.no_grad():
        true = to_pixels(draw_frames(seed, 256, 2**32), device)
        facts["psnr"] = psnr(decoder.decode(scaled(vae.encode(true).latent_dist.mean)).sample, true)
    decoder.save_pretrained(folder / "decoder")
    return facts
