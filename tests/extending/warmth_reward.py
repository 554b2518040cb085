"""A reward from outside: videos of something warm should be redder than blue, others not."""

from collections.abc import Sequence
from typing import Any

import torch
from hummingbird.training.rewards.base import Reward, RewardDeclaration, RewardSettings
from torch import Tensor


class WarmthReward(Reward):
    """The difference of red and blue, -1 to 1; of captions without the word, its opposite."""

    class Settings(RewardSettings):
        """Which word of a caption asks for warmth."""

        word: str = "fire"

    @classmethod
    def declare(cls, settings: Any) -> RewardDeclaration:
        return RewardDeclaration(frames=2, drawn="even", licence="apache-2.0")

    def score(self, video: Tensor, captions: Sequence[str]) -> Tensor:
        warmth = (video[:, :, 0] - video[:, :, 2]).mean((1, 2, 3))
        signs = [1.0 if self.settings.word in caption else -1.0 for caption in captions]
        return warmth * torch.tensor(signs, device=video.device)
