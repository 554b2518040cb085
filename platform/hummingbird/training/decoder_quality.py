"""How well a decoder shows what another does, and how fast: on clips that were not trained on."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, AutoencoderTiny
from PIL import Image
from torch import Tensor

from hummingbird.core.devices import describe_device, resolve_device
from hummingbird.core.hashes import count_parameters
from hummingbird.core.timing import time_in_turns
from hummingbird.training.decoder_features import FeatureDistance
from hummingbird.training.loop import mixed_precision
from hummingbird.training.methods.decoding import full_frames

FRAMES = 4
"""Of a held-out clip, evenly from its first to its last."""
REPEATS = 5


@dataclass(frozen=True)
class DecoderQuality:
    """The report of decoders.

    Attributes:
        rows: by the decoder's name ``parameters`` and ``milliseconds_per_frame``; of small ones also ``psnr`` (dB) and
            ``ssim`` against the full decoder's frames, ``speedup`` over it, and ``features`` where a model was given.
        frames: uint8 (H, W, 3): a frame of each clip as the decoders show it, a row each, in the order of ``rows``.
        facts: ``device``, ``mixed_precision``, ``height``, ``width``, ``clips`` and ``frames``, of all clips together.
    """

    rows: dict[str, dict[str, float]]
    frames: Any
    facts: dict[str, Any]


def psnr(decoded: Tensor, true: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of pixels in [-1, 1]; infinite where they are equal."""
    error = (decoded.clamp(-1, 1) - true).square().mean().item() / 4
    return -10 * float(np.log10(error)) if error else float("inf")


def ssim(decoded: Tensor, true: Tensor) -> float:
    """Mean structural similarity of frames (N, 3, H, W) in [-1, 1], on luma; 1 where they are equal.

    Source: Wang et al. 2004: a Gaussian window of 11 pixels (or the picture's side, if less) with sigma 1.5, constants
    0.01 and 0.03.
    """
    luma = torch.tensor([0.299, 0.587, 0.114], device=true.device).view(1, 3, 1, 1)
    x, y = (((one.clamp(-1, 1).double() / 2 + 0.5) * luma).sum(1, keepdim=True) for one in (decoded, true))
    side = min(11, *true.shape[2:])
    axis = torch.arange(side, device=true.device, dtype=torch.float64) - (side - 1) / 2
    line = torch.exp(-axis.square() / (2 * 1.5**2))
    window = (line[:, None] * line)[None, None] / line.sum().square()
    mean_x, mean_y = F.conv2d(x, window), F.conv2d(y, window)
    var_x = F.conv2d(x * x, window) - mean_x.square()
    var_y = F.conv2d(y * y, window) - mean_y.square()
    both = F.conv2d(x * y, window) - mean_x * mean_y
    light = (2 * mean_x * mean_y + 0.01**2) / (mean_x.square() + mean_y.square() + 0.01**2)
    structure = (2 * both + 0.03**2) / (var_x + var_y + 0.03**2)
    return float((light * structure).mean())


@torch.no_grad()
def decoder_quality(
    vae: AutoencoderKL,
    small: Mapping[str, AutoencoderTiny],
    clips: list[Tensor],
    device_setting: str,
    precision: str,
    features: Path | None,
) -> DecoderQuality:
    """Compares small decoders with the autoencoder's.

    Quality is of float32. Times are the median of `REPEATS` turns over the frames of the first clip, in ``precision``,
    all decoders in turn.

    Args:
        small: by name.
        clips: scaled latents (C, T, h, w), of any sizes.
        device_setting: ``auto``, ``cpu`` or ``cuda``.
        precision: as ``training.mixed_precision``.
        features: folder of a model, see `FeatureDistance`.
    """
    device = torch.device(resolve_device(device_setting, "training.device"))
    vae = vae.to(device).eval()
    small = {
        name: model.to(device, memory_format=torch.channels_last).eval() for name, model in small.items()
    }
    distance = None if features is None else FeatureDistance(features, 1.0, device)
    sums: dict[str, dict[str, float]] = {name: {} for name in small}
    strips: list[list[Tensor]] = []
    count = 0
    for clip in clips:
        chosen = np.linspace(0, clip.shape[1] - 1, min(FRAMES, clip.shape[1])).round().astype(int)
        latents = clip.transpose(0, 1)[chosen].to(device).float()
        true = full_frames(vae, latents)
        count += len(latents)
        shown = [true]
        for name, model in small.items():
            decoded = model.decode(latents.contiguous(memory_format=torch.channels_last)).sample.float()
            measured = {"psnr": psnr(decoded, true), "ssim": ssim(decoded, true)}
            if distance is not None:
                measured["features"] = float(distance(decoded, true))
            for key, value in measured.items():
                sums[name][key] = sums[name].get(key, 0.0) + value / len(clips)
            shown.append(decoded)
        if true.shape[2:] == (strips[0][0].shape[1:] if strips else true.shape[2:]):
            strips.append([one[0].clamp(-1, 1).cpu() for one in shown])
    first = clips[0].transpose(0, 1)[:FRAMES].to(device).float()
    packed = first.contiguous(memory_format=torch.channels_last)
    tasks: dict[str, Any] = {"full": lambda: vae.decode(first / vae.config.scaling_factor)}
    tasks |= {name: lambda model=model: model.decode(packed) for name, model in small.items()}
    with mixed_precision(device, precision):
        seconds = time_in_turns(tasks, warmup=1, repeats=REPEATS)
    times = {name: 1000 * median(values) / len(first) for name, values in seconds.items()}
    rows = {
        name: {
            "parameters": float(count_parameters(vae.decoder if name == "full" else small[name].decoder)),
            "milliseconds_per_frame": times[name],
            **({} if name == "full" else {**sums[name], "speedup": times["full"] / times[name]}),
        }
        for name in tasks
    }
    picture = torch.cat([torch.cat(row, 2) for row in zip(*strips, strict=True)], 1)
    height, width = strips[0][0].shape[1:]
    return DecoderQuality(
        rows,
        ((picture / 2 + 0.5) * 255).round().byte().permute(1, 2, 0).numpy(),
        {
            "device": describe_device(),
            "mixed_precision": precision,
            "height": height,
            "width": width,
            "clips": len(clips),
            "frames": count,
        },
    )


def quality_table(quality: DecoderQuality) -> str:
    """The rows as a Markdown table, for the screen and the report."""
    names = {
        "parameters": "{:,.0f}",
        "psnr": "{:.2f}",
        "ssim": "{:.4f}",
        "features": "{:.4f}",
        "milliseconds_per_frame": "{:.2f}",
        "speedup": "{:.1f}",
    }
    columns = [name for name in names if any(name in row for row in quality.rows.values())]
    lines = [["decoder", *(name.replace("_", " ") for name in columns)], ["---"] * (len(columns) + 1)]
    lines += [
        [name, *(names[column].format(row[column]) if column in row else "" for column in columns)]
        for name, row in quality.rows.items()
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write_frames(quality: DecoderQuality, path: Path) -> None:
    """The picture of `DecoderQuality.frames` as PNG."""
    Image.fromarray(quality.frames).save(path)
