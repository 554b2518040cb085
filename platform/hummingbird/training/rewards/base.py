"""What every reward is: frames and captions in, a score a sample out; and what it declares to planner and report."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field, NonNegativeFloat
from torch import Tensor, nn

from hummingbird.config.section import Section
from hummingbird.core.errors import InputError


class RewardSettings(Section):
    """What every reward has; a reward's own settings derive from it."""

    weight: NonNegativeFloat = Field(1.0, description="weight of its mean score in the loss; 0 leaves it out")
    start: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="share of the training after which it counts; none: as feedback.reward_from says",
    )
    ramp: float = Field(
        0.0, ge=0, le=1, description="share of the training over which its weight then grows from 0"
    )

    def weight_at(self, progress: float, start: float) -> float:
        """Its weight at a share of the training, where others begin at ``start``; 0: it is not looked at."""
        begun = progress - (start if self.start is None else self.start)
        if begun < 0:
            return 0.0
        return self.weight * (min(1.0, begun / self.ramp) if self.ramp else 1.0)


@dataclass(frozen=True)
class TransformerMemory:
    """Memory of a vision transformer that gradients flow through, reckoned and not measured.

    Attributes:
        parameters: of the whole reward, its text encoder included.
        inputs: inputs of the transformer a video: its frames, or 1 where it reads a clip at once.
        sequence: tokens of one input.
        layers, width: of the transformer.
    """

    parameters: int
    inputs: int
    sequence: int
    layers: int
    width: int

    def activations(self, batch: int, element: int) -> int:
        """Bytes stored for the backward pass: 17 values a token, channel and layer with fused attention.

        That is Korthikanti et al. (arXiv 2205.05198), 34 bytes at 2 bytes a value. The weights are frozen, so
        it is an upper bound.
        """
        return 17 * element * batch * self.inputs * self.sequence * self.layers * self.width


@dataclass(frozen=True)
class TracedMemory:
    """Memory of a network of any kind: the planner runs it on tensors without data.

    Attributes:
        build: makes the network, frozen; also called on the device ``meta``.
        run: scores one video with it; returns a scalar that gradients flow from.
    """

    build: Callable[[], nn.Module]
    run: Callable[[Any], Tensor]


@dataclass(frozen=True)
class RewardDeclaration:
    """What others ask of a reward, without loading it.

    Attributes:
        frames: how many frames of a video it looks at; none: all.
        drawn: which: evenly spaced ones, from the first to the last, or others at random each time.
        licence: of its weights, as their card names it.
        memory: of its network; none: it has none.
        weights: its folder; what a training makes depends on it, and rewards that name the same hold it once.
    """

    frames: int | None = None
    drawn: Literal["even", "random"] = "even"
    licence: str | None = None
    memory: TransformerMemory | TracedMemory | None = None
    weights: Path | None = None


class Reward(ABC):
    """A score of frames, or of a video, and its caption; larger is better.

    It is made as ``Reward(settings, device)`` with its checked ``Settings``, once in every worker, and brings its own
    preprocessing and tokenizer. Its weights are frozen.
    """

    Settings: ClassVar[type[RewardSettings]] = RewardSettings

    def __init__(self, settings: Any, device: torch.device) -> None:
        self.settings, self.device = settings, device

    @classmethod
    @abstractmethod
    def declare(cls, settings: Any) -> RewardDeclaration:
        """What it needs.

        Raises:
            InputError: its weights are missing, or settings that do not fit them.
        """

    @abstractmethod
    def score(self, video: Tensor, captions: Sequence[str]) -> Tensor:
        """Scores (B,) of videos (B, K, 3, H, W) in 0..1, K the declared frames, with their captions.

        Differentiable in the video.
        """

    def embed(self, frames: Tensor) -> Tensor:
        """Unit vectors (N, E) of frames (N, 3, H, W) in 0..1, if it looks at single frames.

        Raises:
            InputError: it does not.
        """
        raise InputError(f"{type(self).__name__} does not embed frames: use image_text with a CLIP")
