"""A reward from outside: a model with code of its own that embeds videos and texts, as InternVideo2 does.

The class of the model is named by its import path, and is made from a folder; it has InternVideo2's two methods.
"""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from hummingbird.core.model_references import model_licence
from hummingbird.training.rewards.base import Reward, RewardDeclaration, RewardSettings
from hummingbird.training.rewards.preprocessing import resize
from hummingbird.training.rewards.text import unit
from torch import Tensor

MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)


class DualEncoderReward(Reward):
    """The cosine similarity of a video with its caption."""

    class Settings(RewardSettings):
        """Which model."""

        model: str
        folder: str
        frames: int = 8
        size: int = 224

    def __init__(self, settings: Any, device: torch.device) -> None:
        super().__init__(settings, device)
        module, name = settings.model.split(":")
        kind = getattr(importlib.import_module(module), name)
        self.model = kind.from_pretrained(settings.folder).eval().requires_grad_(False).to(device)

    @classmethod
    def declare(cls, settings: Any) -> RewardDeclaration:
        folder = Path(settings.folder)
        return RewardDeclaration(settings.frames, "even", model_licence(folder), weights=folder)

    def score(self, video: Tensor, captions: Sequence[str]) -> Tensor:
        size = (self.settings.size, self.settings.size)
        mean, std = MEAN.to(video), STD.to(video)
        frames = ((resize(video.flatten(0, 1), size) - mean) / std).unflatten(0, video.shape[:2])
        videos, texts = self.model.get_vid_feat(frames), self.model.get_txt_feat(captions)
        similarity: Tensor = (unit(videos) * unit(texts)).sum(-1)
        return similarity
