"""What image and video models of transformers see of frames: their published preprocessing, differentiable."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from hummingbird.core.errors import InputError

CONFIG = "preprocessor_config.json"
_MODES = {0: "nearest", 2: "bilinear", 3: "bicubic"}
"""Of PIL's filters, by number."""


@dataclass(frozen=True)
class Preprocessing:
    """Resize, crop and normalize.

    Attributes:
        short_side: pixels of the shorter side after resizing; none: the whole frame goes into ``crop``.
        crop: height and width of the middle that the model sees.
        mean, std: of pixels in 0..1.
    """

    short_side: int | None
    crop: tuple[int, int]
    mode: str
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, folder: Path) -> "Preprocessing":
        """What a folder's ``preprocessor_config.json`` says.

        Raises:
            InputError: there is none, or one of another kind.
        """
        file = folder / CONFIG
        if not file.is_file():
            raise InputError(
                f"the reward in {folder} has no {CONFIG}: copy it from where the model was published"
            )
        config = json.loads(file.read_text(encoding="utf-8"))
        try:
            size, crop = config["size"], config.get("crop_size", config["size"])
            side = size if isinstance(size, int) else size.get("shortest_edge")
            if not config.get("do_center_crop", True) and side is not None:
                raise InputError(
                    f"{file}: frames that are not cropped have no fixed size; set do_center_crop"
                )
            mode = _MODES[config.get("resample", 3)]
            mean, std = tuple(config["image_mean"]), tuple(config["image_std"])
            return cls(side, _both(crop), mode, mean, std)
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"{file} does not say how frames are resized and normalized: {error!r}"
            ) from error

    def __call__(self, frames: Tensor) -> Tensor:
        """Frames (N, 3, H, W) in 0..1 as the model takes them, (N, 3, h, w); differentiable."""
        height, width = frames.shape[2:]
        if self.short_side is None:
            size = self.crop
        else:
            scale = self.short_side / min(height, width)
            # As transformers rounds: down, but for the shorter side.
            size = (
                max(self.short_side, int(height * scale)),
                max(self.short_side, int(width * scale)),
            )
        resized = resize(frames, size, self.mode)
        top, left = ((have - want) // 2 for have, want in zip(resized.shape[2:], self.crop, strict=True))
        if min(top, left) < 0:
            raise InputError(f"frames of {size} are smaller than what the reward sees, {self.crop}")
        middle = resized[:, :, top : top + self.crop[0], left : left + self.crop[1]]
        mean, std = (
            torch.tensor(values, device=frames.device).view(3, 1, 1) for values in (self.mean, self.std)
        )
        normalized: Tensor = (middle - mean) / std
        return normalized


def resize(frames: Tensor, size: Sequence[int], mode: str = "bicubic") -> Tensor:
    """Frames (N, 3, H, W) in 0..1 with ``size`` pixels, with antialiasing, as PIL does; differentiable."""
    if tuple(frames.shape[2:]) == tuple(size):
        return frames
    smooth: dict[str, Any] = {} if mode == "nearest" else {"antialias": True, "align_corners": False}
    return F.interpolate(frames, tuple(size), mode=mode, **smooth).clamp(0, 1)


def _both(size: Any) -> tuple[int, int]:
    if isinstance(size, int):
        return size, size
    if "shortest_edge" in size:
        return size["shortest_edge"], size["shortest_edge"]
    return size["height"], size["width"]
