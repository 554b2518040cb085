"""The quality of a video by DOVER (arXiv 2211.04894), differentiably."""

from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field, PositiveInt
from torch import Tensor

from hummingbird.core.hashes import public_config
from hummingbird.core.model_references import model_folder, model_licence
from hummingbird.models.dover import DOVER
from hummingbird.models.dover_views import aesthetic_clip, normalize, technical_clips
from hummingbird.models.loading import load_pretrained
from hummingbird.training.rewards.base import Reward, RewardDeclaration, RewardSettings, TracedMemory


class QualityRewardSettings(RewardSettings):
    """Which weights, and which of its scores."""

    model: str = Field("shapes-quality", description="folder of a quality model")
    frames: PositiveInt | None = Field(None, description="evenly spaced frames that it sees; none: all")
    part: Literal["overall", "technical", "aesthetic"] = Field(
        "overall", description="which score: the published fusion, 0 to 1, or one branch's, in its deviations"
    )


class QualityReward(Reward):
    """DOVER's score; clips and fragments are drawn anew each time, as they are to be where it only judges."""

    Settings = QualityRewardSettings

    def __init__(self, settings: QualityRewardSettings, device: torch.device) -> None:
        super().__init__(settings, device)
        self._model = _load(model_folder(settings.model), device)

    @classmethod
    def declare(cls, settings: Any) -> RewardDeclaration:
        """Evenly spaced frames, or all."""
        folder = model_folder(settings.model)
        config = public_config(DOVER.load_config(folder))
        memory = TracedMemory(partial(_frozen, config), partial(_run, settings.part))
        return RewardDeclaration(settings.frames, "even", model_licence(folder), memory, folder)

    def score(self, video: Tensor, captions: Sequence[str]) -> Tensor:
        """See `Reward.score`; captions do not matter."""
        seeds = torch.randint(2**31, (len(video),)).tolist()
        parts = [
            _score(self._model, one * 255, self.settings.part, np.random.default_rng(seed))
            for one, seed in zip(video, seeds, strict=True)
        ]
        return torch.stack(parts)


@cache
def _load(folder: Path, device: torch.device) -> DOVER:
    model: DOVER = load_pretrained(DOVER, folder, torch_dtype=torch.float32)
    return model.eval().requires_grad_(False).to(device)


def _score(model: DOVER, pixels: Tensor, part: str, rng: np.random.Generator) -> Tensor:
    """One video's (T, 3, H, W), in 0..255."""
    technical_view, aesthetic_view = model.views
    scores = []
    if part != "aesthetic":
        clips = normalize(technical_clips(pixels, technical_view, rng))
        score = torch.stack([model.technical_map(clip[None]).mean() for clip in clips]).mean()
        scores.append((score, model.config["technical_fusion"]))
    if part != "technical":
        clip = normalize(aesthetic_clip(pixels, aesthetic_view, rng))
        scores.append((model.aesthetic_map(clip).mean(), model.config["aesthetic_fusion"]))
    if part != "overall":
        ((score, (_, mean, deviation)),) = scores
        return (score - mean) / deviation
    return (
        torch.stack([weight * (score - mean) / deviation for score, (weight, mean, deviation) in scores])
        .sum()
        .sigmoid()
    )


def _frozen(config: dict[str, Any]) -> DOVER:
    model: DOVER = DOVER(**config).eval()
    return model.requires_grad_(False)


def _run(part: str, model: DOVER) -> Tensor:
    technical = model.views[0]
    side = technical.fragments * technical.patch
    video = torch.rand(technical.frames, 3, side, side, requires_grad=True)
    return _score(model, video * 255, part, np.random.default_rng(0))
