"""Prompts of one's own, whatever they are about: the dimensions of VBench that need none of its lists, and rewards."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hummingbird.config.plugins import Plugin, PluginTable
from hummingbird.evaluation.score import Dimension
from hummingbird.evaluation.suites.base import EvaluationPrompt, Measurement
from hummingbird.evaluation.suites.vbench.dimensions import NEEDS, VBENCH
from hummingbird.evaluation.suites.vbench.suite import VBenchSuite

if TYPE_CHECKING:
    from hummingbird.training.rewards.base import Reward, RewardDeclaration

_ON_LISTS = frozenset(name for name, needs in NEEDS.items() if needs.on_lists)


class OwnPromptsSuite(VBenchSuite):
    """As ``vbench``; dimensions that are defined on VBench's lists of prompts are missing for any others.

    So there is neither a semantic part nor a total, whatever else is measured. Rewards stand beside the parts, each a
    dimension ``reward NAME`` of the mean score.
    """

    class Settings(VBenchSuite.Settings):
        """Besides the models of VBench's dimensions."""

        rewards: PluginTable = Field(
            default_factory=dict, description="rewards as dimensions: a mapping, as feedback.rewards"
        )
        reward_range: tuple[float, float] = Field(
            (-1.0, 1.0), description="least and largest score of a reward: worth 0 and 1; others are errors"
        )

    settings: Settings

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        low, high = settings.reward_range
        said = "mean score of a reward on the frames that it looks at"
        rewards = [
            Dimension(_dimension(name), low, high, 1.0, None, said, low, high) for name in settings.rewards
        ]
        self.dimensions: Sequence[Dimension] = (*VBENCH, *rewards)  # type: ignore[assignment, misc]

    @property
    def models(self) -> Mapping[str, Path]:
        declared = {reward.name: _declared(reward).weights for reward in self._plugins}
        return {**super().models, **{name: path for name, path in declared.items() if path is not None}}

    @property
    def missing(self) -> Mapping[str, str]:
        return {**super().missing, **dict.fromkeys(_ON_LISTS, "is defined on VBench's own prompts alone")}

    @property
    def of_files(self) -> frozenset[str]:
        return super().of_files - _ON_LISTS

    def measure(self, frames: NDArray[np.uint8], prompt: EvaluationPrompt) -> Measurement:
        measured, asked = super().measure(frames, prompt), self.prompt_dimensions(prompt)
        scores = {
            _dimension(reward.name): self._score(reward, frames, prompt)
            for reward in self._plugins
            if _dimension(reward.name) in asked
        }
        return Measurement({**measured.values, **scores})

    def _score(self, plugin: "Plugin[Reward]", frames: NDArray[np.uint8], prompt: EvaluationPrompt) -> float:
        import torch

        from hummingbird.training.rewards.term import reward_frames

        generator = torch.Generator().manual_seed(prompt.seeds[0])
        chosen = reward_frames(_declared(plugin), len(frames), generator)
        video = torch.from_numpy(frames[chosen]).permute(0, 3, 1, 2)[None] / 255
        with torch.no_grad():
            return float(self._rewards[plugin.name].score(video, [prompt.asked_text])[0])

    @cached_property
    def _plugins(self) -> "list[Plugin[Reward]]":
        if not self.settings.rewards:
            return []  # without torch
        from hummingbird.training.rewards.term import resolve_rewards

        return resolve_rewards("evaluate.suite: prompts: rewards", self.settings.rewards)

    @cached_property
    def _rewards(self) -> "dict[str, Reward]":
        import torch

        return {plugin.name: plugin.build(torch.device("cpu")) for plugin in self._plugins}


def _dimension(reward: str) -> str:
    return f"reward {reward}"


def _declared(reward: "Plugin[Reward]") -> "RewardDeclaration":
    return reward.kind.declare(reward.settings)
