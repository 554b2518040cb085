"""Rewards as a part of a loss: frames are drawn, decoded once for all rewards, and scored."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from hummingbird.config.plugins import Plugin, PluginTable, resolve_plugins
from hummingbird.core.errors import InputError
from hummingbird.training.rewards import REWARDS
from hummingbird.training.rewards.base import Reward, RewardDeclaration, RewardSettings


def resolve_rewards(setting: str, table: PluginTable) -> list[Plugin[Reward]]:
    """The rewards of a setting that have a weight.

    Raises:
        InputError: see `resolve_plugins`; or a reward whose settings have no weight.
    """
    rewards: list[Plugin[Any]] = resolve_plugins(setting, table, REWARDS, Reward)
    for reward in rewards:
        if not isinstance(reward.settings, RewardSettings):
            raise InputError(f"{setting}: the Settings of {reward.name} must derive from RewardSettings")
    return [reward for reward in rewards if weight_of(reward)]


def weight_of(reward: Plugin[Reward]) -> float:
    """A reward's weight in the loss."""
    assert isinstance(reward.settings, RewardSettings)
    return reward.settings.weight


def declaration(reward: Plugin[Reward]) -> RewardDeclaration:
    """What a reward declares of itself with its settings."""
    return reward.kind.declare(reward.settings)


class RewardTerm:
    """The scores of latents.

    Args:
        rewards: by name, each with what it declares.
        weights: of each, in a loss.
        decode: latents (B, C, T, h, w) to frames (B, T, 3, H, W) in 0..1, differentiable.
        start: the share of the training after which there are rewards.
    """

    def __init__(
        self,
        rewards: Mapping[str, tuple[Reward, RewardDeclaration]],
        weights: Mapping[str, float],
        decode: Callable[[Tensor], Tensor],
        start: float = 0.0,
    ) -> None:
        self.weights, self.start = weights, start
        self._rewards, self._decode = rewards, decode

    @classmethod
    def build(
        cls,
        rewards: Sequence[Plugin[Reward]],
        decode: Callable[[Tensor], Tensor],
        start: float,
        device: torch.device,
    ) -> "RewardTerm":
        """The rewards of the settings, loaded on a device."""
        return cls(
            {reward.name: (reward.build(device), declaration(reward)) for reward in rewards},
            {reward.name: weight_of(reward) for reward in rewards},
            decode,
            start,
        )

    def scores(
        self, latents: Tensor, captions: Sequence[str], generator: torch.Generator
    ) -> dict[str, Tensor]:
        """The mean score of each reward; only frames that are scored are decoded.

        Args:
            latents: (B, C, T, h, w).
            captions: one each a video.
            generator: on the CPU, for frames at random.
        """
        drawn = {
            name: reward_frames(declared, latents.shape[2], generator)
            for name, (_, declared) in self._rewards.items()
        }
        needed = sorted({frame for frames in drawn.values() for frame in frames})
        pixels = self._decode(latents[:, :, needed])
        scores = {}
        for name, (reward, _) in self._rewards.items():
            video = pixels[:, [needed.index(frame) for frame in drawn[name]]]
            scores[name] = reward.score(video, captions).float().mean()
        return scores


def reward_frames(declared: RewardDeclaration, count: int, generator: torch.Generator) -> list[int]:
    """Which of a video's ``count`` frames a reward looks at."""
    wanted = min(declared.frames or count, count)
    if declared.drawn == "even":
        return [int(frame) for frame in torch.linspace(0, count - 1, wanted).round()]
    return [int(frame) for frame in torch.randperm(count, generator=generator)[:wanted]]
