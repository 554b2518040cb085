"""What DOVER looks at: resized frames (aesthetic view) and patches at native resolution (technical view).

Frames are uint8 RGB (T, H, W, 3); a view is a uint8 batch of clips (clips, 3, frames, size, size). Frames and
patches are drawn from a seeded generator, so that a score can be repeated.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

MEAN = (123.675, 116.28, 103.53)  # of pixels in 0..255, and below their deviation
STD = (58.395, 57.12, 57.375)


@dataclass(frozen=True)
class TechnicalView:
    """``clips`` clips of ``frames`` frames at ``stride``; a frame is a grid of ``fragments`` patches a side.

    A patch has ``patch`` pixels a side.
    """

    fragments: int = 7
    patch: int = 32
    frames: int = 32
    stride: int = 2
    clips: int = 3


@dataclass(frozen=True)
class AestheticView:
    """One clip of ``frames`` frames at ``stride``, resized to ``size`` x ``size`` px."""

    size: int = 224
    frames: int = 32
    stride: int = 2


def check_frames(frames: NDArray[np.uint8]) -> None:
    """Raise ValueError unless ``frames`` is uint8 of shape (T, H, W, 3) with at least one frame."""
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or frames.size == 0:
        raise ValueError(f"frames must be uint8 (T, H, W, 3), not {frames.dtype} {tuple(frames.shape)}")


def clip_indices(
    total: int, frames: int, stride: int, clips: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Frame numbers (clips, frames): the video in ``clips`` equal parts, one clip from each.

    A clip starts at random where its part is longer than it, else at the part's first frame; past the video's
    end it goes on from the video's start.
    """
    span, part = frames * stride, total // clips
    room = max(part - span, 0)
    starts = np.arange(clips) * part + rng.integers(0, room + 1, clips)
    return np.asarray((starts[:, None] + np.arange(frames) * stride) % total, np.int64)


def technical_view(frames: NDArray[np.uint8], view: TechnicalView, rng: np.random.Generator) -> Tensor:
    """Fragments of ``view.clips`` clips as uint8 (clips, 3, T, S, S), S = fragments x patch, for `normalize`.

    A clip's patches keep their places through its frames.
    """
    check_frames(frames)
    return _bytes(technical_clips(_floats(frames), view, rng))


def technical_clips(pixels: Tensor, view: TechnicalView, rng: np.random.Generator) -> Tensor:
    """The same of float frames (T, 3, H, W), as floats; differentiable."""
    side = view.fragments * view.patch
    indices = clip_indices(len(pixels), view.frames, view.stride, view.clips, rng)
    return torch.stack([_fragments(_scaled_up(pixels[i], side), view, rng) for i in indices])


def aesthetic_view(frames: NDArray[np.uint8], view: AestheticView, rng: np.random.Generator) -> Tensor:
    """One clip of whole resized frames as uint8 (1, 3, T, size, size), for `normalize`.

    Bilinear without antialiasing, as for the published weights.
    """
    check_frames(frames)
    return _bytes(aesthetic_clip(_floats(frames), view, rng))


def aesthetic_clip(pixels: Tensor, view: AestheticView, rng: np.random.Generator) -> Tensor:
    """The same of float frames (T, 3, H, W), as floats; differentiable."""
    indices = clip_indices(len(pixels), view.frames, view.stride, 1, rng)[0]
    return F.interpolate(pixels[indices], (view.size, view.size), mode="bilinear").movedim(0, 1)[None]


def normalize(view: Tensor) -> Tensor:
    """What the network takes: a view (clips, 3, T, H, W) of pixels in 0..255 as zero-mean float32."""
    mean, deviation = (torch.tensor(v, device=view.device).view(3, 1, 1, 1) for v in (MEAN, STD))
    return (view.float() - mean) / deviation


def _floats(frames: NDArray[np.uint8]) -> Tensor:
    own = frames if frames.flags.writeable else frames.copy()  # torch warns of what it could write to
    return torch.from_numpy(own).permute(0, 3, 1, 2).float()


def _scaled_up(pixels: Tensor, side: int) -> Tensor:
    """Frames (T, 3, H, W) as (3, T, H, W), scaled up where a side is shorter than ``side``."""
    scale = side / min(pixels.shape[2:])
    if scale > 1:
        size = [max(side, round(s * scale)) for s in pixels.shape[2:]]
        pixels = F.interpolate(pixels, size, mode="bilinear")
    return pixels.movedim(0, 1)


def _fragments(pixels: Tensor, view: TechnicalView, rng: np.random.Generator) -> Tensor:
    count, patch = view.fragments, view.patch
    height, width = pixels.shape[2:]
    out = pixels.new_empty(*pixels.shape[:2], count * patch, count * patch)
    for row in range(count):
        for column in range(count):
            # A cell of the grid is at least as large as a patch, so every patch lies inside its own cell.
            top = height // count * row + int(rng.integers(0, height // count - patch + 1))
            left = width // count * column + int(rng.integers(0, width // count - patch + 1))
            target = out[:, :, row * patch : (row + 1) * patch, column * patch : (column + 1) * patch]
            target.copy_(pixels[:, :, top : top + patch, left : left + patch])
    return out


def _bytes(pixels: Tensor) -> Tensor:
    return pixels.round().to(torch.uint8)
