"""Rewards as a part of a loss: frames are drawn, decoded once for all rewards, and scored."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from hummingbird.config.feedback import HeldOutSettings
from hummingbird.config.plugins import Plugin, PluginTable, resolve_plugins
from hummingbird.core.errors import InputError
from hummingbird.core.licences import forbids_commercial_use
from hummingbird.training.event import Event
from hummingbird.training.rewards import REWARDS
from hummingbird.training.rewards.base import Reward, RewardDeclaration, RewardSettings
from hummingbird.training.rewards.held_out import TERM, HeldOutWatch


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


def check_licences(setting: str, rewards: Sequence[Plugin[Reward]], allow_noncommercial: bool) -> None:
    """Raises InputError for a reward whose weights' licence the settings forbid."""
    for reward in rewards:
        declared = declaration(reward)
        licence = declared.licence or "unknown"
        if declared.weights is not None and not allow_noncommercial and forbids_commercial_use(licence):
            raise InputError(
                f"{setting}: the licence of {reward.name} is '{licence}' and feedback.allow_noncommercial is false: "
                "use another reward"
            )


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
        settings: of rewards whose weights have a schedule.
        held_out: rewards that are watched and not trained on.
        watch: what looks at them.
        decode_frames: decoded at a time, and again in the backward pass; none: all at once.
    """

    def __init__(
        self,
        rewards: Mapping[str, tuple[Reward, RewardDeclaration]],
        weights: Mapping[str, float],
        decode: Callable[[Tensor], Tensor],
        start: float = 0.0,
        *,
        settings: Mapping[str, RewardSettings] | None = None,
        held_out: Mapping[str, tuple[Reward, RewardDeclaration]] | None = None,
        watch: HeldOutWatch | None = None,
        decode_frames: int | None = None,
    ) -> None:
        self.weights, self.start = weights, start
        self._rewards, self._decode = rewards, decode
        self._settings, self._held_out, self._watch = settings or {}, held_out or {}, watch
        self._decode_frames, self._factor = decode_frames, 1.0

    @classmethod
    def build(
        cls,
        rewards: Sequence[Plugin[Reward]],
        decode: Callable[[Tensor], Tensor],
        start: float,
        device: torch.device,
        held_out: Sequence[Plugin[Reward]] = (),
        watched: HeldOutSettings | None = None,
        decode_frames: int | None = None,
    ) -> "RewardTerm":
        """The rewards of the settings, loaded on a device."""
        made = [
            {reward.name: (reward.build(device), declaration(reward)) for reward in group}
            for group in (rewards, held_out)
        ]
        weights = {reward.name: weight_of(reward) for reward in rewards}
        watch = HeldOutWatch(watched, weights) if watched is not None and held_out else None
        settings = {reward.name: reward.settings for reward in rewards}
        return cls(
            made[0],
            weights,
            decode,
            start,
            settings=settings,  # type: ignore[arg-type]
            held_out=made[1],
            watch=watch,
            decode_frames=decode_frames,
        )

    def weights_at(self, progress: float) -> dict[str, float]:
        """Weights of the rewards that count at a share of the training; also lowered ones, see `read`."""
        at = {}
        for name, weight in self.weights.items():
            if name in self._settings:
                weight = self._settings[name].weight_at(progress, self.start)
            elif progress < self.start:
                weight = 0.0
            at[name] = weight * self._factor
        return {name: weight for name, weight in at.items() if weight}

    def held_out_due(self, step: int) -> bool:
        """Whether held-out rewards are read at a step, from 0; the same on all workers."""
        return self._watch is not None and step % self._watch.settings.every == 0

    def loss(
        self,
        videos: Callable[[], tuple[Tensor, Sequence[str]]],
        progress: float,
        step: int,
        generator: torch.Generator,
    ) -> tuple[Tensor | None, dict[str, Tensor]]:
        """What a loss is made smaller by, the weighted scores (none: no reward counts now), and terms for the log:
        ``reward/NAME``, ``held_out/NAME``.

        Args:
            videos: makes the latents (B, C, T, h, w) that are scored, and their captions; called if they are needed.
            progress: share of the training.
            step: its number, from 0.
            generator: on the CPU, for frames at random.
        """
        weights, due = self.weights_at(progress), self.held_out_due(step)
        if not weights and not due:
            return None, {}
        with torch.set_grad_enabled(bool(weights)):
            latents, captions = videos()
        total, terms = None, {}
        if weights:
            scores = self.scores(latents, captions, generator, tuple(weights))
            terms = {f"reward/{name}": score for name, score in scores.items()}
            total = torch.stack([weights[name] * score for name, score in scores.items()]).sum()
        if due:
            with torch.no_grad():
                scores = self._scored(self._held_out, latents.detach(), captions, generator)
                if not weights:  # what they are compared with, before they count
                    before = self._scored(self._rewards, latents.detach(), captions, generator)
                    terms = {f"reward/{name}": score for name, score in before.items()}
            terms |= {f"{TERM}{name}": score for name, score in scores.items()}
        return total, terms

    def scores(
        self,
        latents: Tensor,
        captions: Sequence[str],
        generator: torch.Generator,
        names: Sequence[str] | None = None,
    ) -> dict[str, Tensor]:
        """The mean score of each reward, or of those with ``names``; only frames that are scored are decoded.

        Args:
            latents: (B, C, T, h, w).
            captions: one each a video.
            generator: on the CPU, for frames at random.
        """
        rewards = {name: self._rewards[name] for name in (self._rewards if names is None else names)}
        return self._scored(rewards, latents, captions, generator)

    def read(self, lines: Sequence[Mapping[str, float]]) -> list[Event]:
        """What held-out rewards have to say of lines of the log, and whether the run is to stop; where it is not, the
        weights of the trained ones are halved."""
        if self._watch is None:
            return []
        events = []
        for text in self._watch.read(lines):
            stops = self._watch.settings.action == "stop"
            if not stops:
                self._factor /= 2
                text = f"{text}; their weights are {self._factor:g} of what they were"
            events.append(Event(text, stops))
        return events

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"factor": self._factor, "held_out": self._watch.state() if self._watch else {}}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restores `state`."""
        self._factor = state["factor"]
        if self._watch is not None:
            self._watch.load_state(state["held_out"])

    def _scored(
        self,
        rewards: Mapping[str, tuple[Reward, RewardDeclaration]],
        latents: Tensor,
        captions: Sequence[str],
        generator: torch.Generator,
    ) -> dict[str, Tensor]:
        drawn = {
            name: reward_frames(declared, latents.shape[2], generator)
            for name, (_, declared) in rewards.items()
        }
        needed = sorted({frame for frames in drawn.values() for frame in frames})
        pixels = self._pixels(latents[:, :, needed])
        scores = {}
        for name, (reward, _) in rewards.items():
            video = pixels[:, [needed.index(frame) for frame in drawn[name]]]
            scores[name] = reward.score(video, captions).float().mean()
        return scores

    def _pixels(self, latents: Tensor) -> Tensor:
        if self._decode_frames is None:
            return self._decode(latents)
        parts = latents.split(self._decode_frames, dim=2)
        if not latents.requires_grad:
            return torch.cat([self._decode(part) for part in parts], 1)
        return torch.cat([checkpoint(self._decode, part, use_reentrant=False) for part in parts], 1)


def reward_frames(declared: RewardDeclaration, count: int, generator: torch.Generator) -> list[int]:
    """Which of a video's ``count`` frames a reward looks at."""
    wanted = min(declared.frames or count, count)
    if declared.drawn == "even":
        return [int(frame) for frame in torch.linspace(0, count - 1, wanted).round()]
    return [int(frame) for frame in torch.randperm(count, generator=generator)[:wanted]]
