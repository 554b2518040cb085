"""Rewards without weights, of what neighboring frames have to do with each other: motion, and steadiness."""

from collections.abc import Sequence
from typing import Any, Self

import torch
from pydantic import Field, PositiveFloat, PositiveInt, model_validator
from torch import Tensor

from hummingbird.training.rewards.base import Reward, RewardDeclaration, RewardSettings
from hummingbird.training.rewards.flow import gray, inside, optical_flow, warp
from hummingbird.training.rewards.preprocessing import resize


class NeighborSettings(RewardSettings):
    """How large frames are looked at, and how many."""

    size: PositiveInt = Field(
        128, ge=16, description="pixels of the shorter side at which frames are compared"
    )
    frames: PositiveInt | None = Field(
        None,
        ge=2,
        description="frames that are compared, evenly spaced from the first to the last; none: all of them",
    )


class MotionRewardSettings(NeighborSettings):
    """The band that motion should stay in."""

    low: PositiveFloat = Field(
        0.003, description="least speed of what moves most, in widths between neighboring frames"
    )
    high: PositiveFloat = Field(0.06, description="largest")
    moving: float = Field(
        0.1, gt=0, le=1, description="share of the picture, the fastest, whose mean speed counts"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.high <= self.low:
            raise ValueError("high is not above low")
        return self


class NeighborReward(Reward):
    """Looks at pairs of neighboring frames."""

    @classmethod
    def declare(cls, settings: Any) -> RewardDeclaration:
        """All frames, or evenly spaced ones; no weights."""
        return RewardDeclaration(settings.frames, "even")

    def pairs(self, video: Tensor) -> tuple[Tensor, Tensor]:
        """Each frame but the last, and the one after it: (B (T - 1), 3, h, w)."""
        height, width = video.shape[-2:]
        scale = min(1.0, self.settings.size / min(height, width))
        small = resize(video.flatten(0, 1), (round(height * scale), round(width * scale)), "bilinear")
        frames = small.unflatten(0, video.shape[:2])
        return frames[:, :-1].flatten(0, 1), frames[:, 1:].flatten(0, 1)


class MotionReward(NeighborReward):
    """1 where the speed of what moves most lies in the band; less the further below or above, 0 for a frozen video."""

    Settings = MotionRewardSettings

    def score(self, video: Tensor, captions: Sequence[str]) -> Tensor:
        """See `Reward.score`; captions do not matter."""
        speed = self.speed(video)
        low, high = self.settings.low, self.settings.high
        return 1 - (low - speed).clamp_min(0) / low - (speed - high).clamp_min(0) / high

    def speed(self, video: Tensor) -> Tensor:
        """Mean speed (B,) of the fastest share of the picture, in widths a frame."""
        a, b = (gray(frames.float()) for frames in self.pairs(video))
        with torch.autocast(video.device.type, enabled=False):
            flow = optical_flow(a, b) / a.shape[-1]
        lengths = (flow.square().sum(1) + 1e-12).sqrt().flatten(1)
        fastest = lengths.topk(max(1, round(self.settings.moving * lengths.shape[1])), 1).values
        return fastest.mean(1).unflatten(0, (len(video), -1)).mean(1)


class ConsistencyReward(NeighborReward):
    """1 less the mean difference of neighboring frames after their motion is undone: flicker costs, moving does not."""

    Settings = NeighborSettings

    def score(self, video: Tensor, captions: Sequence[str]) -> Tensor:
        """See `Reward.score`; captions do not matter."""
        a, b = (frames.float() for frames in self.pairs(video))
        with torch.no_grad(), torch.autocast(video.device.type, enabled=False):
            flow = optical_flow(gray(a), gray(b))
            stays = inside(flow)
        differences = (warp(b, flow) - a).abs().mean(1, keepdim=True) * stays
        shares = differences.sum((1, 2, 3)) / stays.sum((1, 2, 3)).clamp_min(1)
        return 1 - shares.unflatten(0, (len(video), -1)).mean(1)
