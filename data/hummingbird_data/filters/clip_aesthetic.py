"""Aesthetics by a linear head on CLIP's image embeddings, as LAION's predictors are: no model of video is needed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from hummingbird.config.curate import Percentile
from hummingbird.config.section import AbsolutePath, Section
from hummingbird.config.settings import Settings as SettingsTree
from hummingbird.core.errors import InputError
from pydantic import Field

from hummingbird_data.filters.base import Filter, Threshold
from hummingbird_data.reading.clip_frames import Frames, clip_frames
from hummingbird_data.runtime.model_files import actors_for
from hummingbird_data.stage import Row, Stage

if TYPE_CHECKING:
    from torch import Tensor

_FRAMES = 4  # of a clip, whose scores are averaged


@dataclass
class ClipAestheticStage(Stage):
    """``model``: folder of a CLIP model; ``head``: file of the linear layer on its normalized image embeddings."""

    name: ClassVar[str] = "clip_aesthetic"
    inputs: ClassVar[tuple[str, ...]] = ("media_path", "storage")
    outputs: ClassVar[tuple[str, ...]] = ("clip_aesthetic",)
    model: Path
    head: Path
    actors: int = 0
    gpus: float = 0.0
    cpus: float = 1.0
    batch_rows: int = 1
    _scorer: "ClipAesthetic | None" = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.actors:
            self.cpus = 0.0  # they wait most of the time, and tasks before them need the cores

    def setup(self) -> None:
        import torch

        torch.set_num_threads(1)  # the cluster's cores are shared out by Ray
        self._scorer = ClipAesthetic(self.model, self.head, "cuda" if self.gpus else "cpu")

    def process(self, row: Row) -> Iterable[Row]:
        assert self._scorer is not None, "setup() was not called"
        frames, _ = clip_frames(row)
        score = self._scorer.score(frames)
        if not np.isfinite(score):
            raise ValueError(f"the aesthetic head gave {score}")  # it would pass every threshold
        return [{"clip_aesthetic": score}]


class ClipAesthetic:
    """CLIP's image tower and a linear head.

    Raises:
        InputError: either is missing, damaged or of another structure, or their widths differ.
    """

    def __init__(self, model: Path, head: Path, device: str) -> None:
        from hummingbird.importing.reader import open_weights
        from hummingbird.models.loading import load_pretrained
        from transformers import CLIPModel

        clip: Any = load_pretrained(CLIPModel, model)
        self._tower, self._projection = (
            clip.vision_model.to(device).eval(),
            clip.visual_projection.to(device).eval(),
        )
        self._size, self._device = int(clip.config.vision_config.image_size), device
        width = int(clip.config.projection_dim)
        with open_weights(head) as weights:
            shapes = {name: tuple(tensor.shape) for name, tensor in weights.tensors.items()}
            if shapes != {"weight": (1, width), "bias": (1,)}:
                raise InputError(
                    f"{head} is no linear head for the CLIP model in {model}: weight (1, {width}) and bias (1,) are "
                    f"needed, it has {shapes}"
                )
            self._weight, self._bias = (
                weights.tensors[name].float().clone().to(device) for name in ("weight", "bias")
            )

    def score(self, frames: Frames) -> float:
        """The mean of frames (T, H, W, 3), uint8 RGB, spread over the clip; LAION's heads give about 1 to 10."""
        import torch
        from torch.nn import functional

        places = (np.arange(_FRAMES) + 0.5) * len(frames) / _FRAMES
        with torch.inference_mode():
            pictures = self._pictures(frames[places.astype(int)])
            embeddings = self._projection(self._tower(pictures).pooler_output)
            scores = functional.linear(functional.normalize(embeddings, dim=-1), self._weight, self._bias)
        return float(scores.mean())

    def _pictures(self, frames: Frames) -> "Tensor":
        """The middle square of each frame as CLIP sees it, (N, 3, S, S)."""
        import torch
        from torch.nn import functional
        from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

        height, width = frames.shape[1:3]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        square = np.ascontiguousarray(frames[:, top : top + side, left : left + side])
        pixels = torch.from_numpy(square).to(self._device).permute(0, 3, 1, 2) / 255
        pixels = functional.interpolate(
            pixels, size=(self._size, self._size), mode="bicubic", align_corners=False, antialias=True
        )
        mean, std = (
            torch.tensor(values, device=self._device).view(1, 3, 1, 1)
            for values in (OPENAI_CLIP_MEAN, OPENAI_CLIP_STD)
        )
        return (pixels.clamp(0, 1) - mean) / std


class ClipAestheticFilter(Filter):
    """Drops clips that a linear head on CLIP finds plain."""

    class Settings(Section):
        """The model, and how much is asked for."""

        clip: AbsolutePath = Field(description="folder of a CLIP model in the format of transformers")
        head: AbsolutePath = Field(description="file of the linear head: weight (1, D) and bias (1,)")
        min_clip_aesthetic: float | Percentile = Field("10%", description="least score, or a percentile")

    reason = "clip_aesthetic"
    scores: ClassVar = {"clip_aesthetic": "aesthetics by CLIP"}
    threshold = Threshold("min_clip_aesthetic", "clip_aesthetic", "below")
    settings: Settings

    def stages(self, settings: SettingsTree) -> list[Stage]:
        s = settings.curate
        actors = actors_for(s.quality_actors, self.settings.clip, s.model_gpus)
        return [
            ClipAestheticStage(
                model=self.settings.clip, head=self.settings.head, actors=actors, gpus=s.model_gpus
            )
        ]

    def models(self, settings: SettingsTree) -> Mapping[str, Path]:
        return {"clip_aesthetic": self.settings.clip, "aesthetic_head": self.settings.head}

    def check(self, settings: SettingsTree) -> None:
        ClipAesthetic(self.settings.clip, self.settings.head, "cpu")
