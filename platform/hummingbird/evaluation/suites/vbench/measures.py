"""VBench's definitions of the measures that need no model of their own, and which frames and pixels its models see."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

CLIP_COLORS = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
IMAGENET_COLORS = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Means and standard deviations of the pixels that CLIP's models, and DINO's, were trained on."""


def temporal_flickering(frames: NDArray[np.uint8]) -> float:
    """1 - mean absolute difference of neighboring frames over 255, of frames (T >= 2, H, W, 3).

    As in VBench, nothing tells motion from flicker: VBench measures it on prompts of scenes that stand still.
    """
    differences = [
        np.abs(after.astype(np.float32) - before).mean(dtype=np.float64) for before, after in pairwise(frames)
    ]
    return 1.0 - float(np.mean(differences)) / 255.0


def frame_consistency(features: Tensor) -> float:
    """How much the frames of a video look alike, of their features (T >= 2, E).

    From the second frame on, the mean of each frame's cosine similarity with the first and with the one before it,
    those below 0 counting as 0.
    """
    unit = F.normalize(features.double(), dim=-1)
    with_first, with_previous = unit[1:] @ unit[0], (unit[1:] * unit[:-1]).sum(-1)
    return float((with_first.clamp(min=0) + with_previous.clamp(min=0)).mean() / 2)


def middle_frames(count: int, frames: int) -> list[int]:
    """Places of ``count`` frames: the middles of as many stretches of equal length; the last again where there are
    fewer frames."""
    borders = np.linspace(0, frames, min(count, frames) + 1).astype(int).tolist()
    places = [(start + end - 1) // 2 for start, end in pairwise(borders)]
    return places + places[-1:] * (count - len(places))


def resized_frames(frames: NDArray[np.uint8], size: int, mode: str, whole: bool = False) -> Tensor:
    """Frames (T, H, W, 3) as (T, 3, h, w) in 0..255, the shorter side ``size``, without a filter against aliasing.

    Args:
        mode: of `torch.nn.functional.interpolate`.
        whole: whether pixels are rounded to whole numbers within 0..255, as those of a uint8 tensor.
    """
    pixels = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2).float()
    pixels = F.interpolate(pixels, _shorter_side(frames.shape[1:3], size), mode=mode, align_corners=False)
    return pixels.clamp(0, 255).round() if whole else pixels


def pillow_frames(frames: NDArray[np.uint8], size: int) -> Tensor:
    """As `resized_frames`, bicubic, by Pillow, which filters: what VBench does where it reads frames as pictures."""
    height, width = _shorter_side(frames.shape[1:3], size)
    pictures = [
        np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.BICUBIC))
        for frame in frames
    ]
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float()


def normalized(pixels: Tensor, colors: tuple[Sequence[float], Sequence[float]]) -> Tensor:
    """Pixels (T, 3, H, W) in 0..255 less the mean, over the deviation."""
    mean, deviation = (torch.tensor(values).view(1, 3, 1, 1) for values in colors)
    return (pixels / 255 - mean) / deviation


def middle_square(pixels: Tensor, size: int) -> Tensor:
    """The middle (T, 3, size, size) of frames that are at least as large."""
    top, left = (round((side - size) / 2) for side in pixels.shape[-2:])
    return pixels[..., top : top + size, left : left + size]


def _shorter_side(shape: Sequence[int], size: int) -> tuple[int, int]:
    height, width = shape
    return (size, int(size * width / height)) if height <= width else (int(size * height / width), size)
