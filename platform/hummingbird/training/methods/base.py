"""What every training method is: the networks that it trains, the order of their updates, and their losses."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import torch
from torch import Tensor, nn

from hummingbird.config.plugins import NoSettings
from hummingbird.config.section import Section
from hummingbird.models.scheduler import VideoScheduler
from hummingbird.training.event import Event
from hummingbird.training.latent_cache import Batch

if TYPE_CHECKING:
    from hummingbird.training.rewards.term import RewardTerm

STUDENT = "student"
"""The network whose moving average is what a training makes; every method trains it."""


class Denoiser(Protocol):
    """A video U-Net, or an engine that wraps one: see `hummingbird.models.unet.VideoUNet.forward`."""

    def __call__(
        self,
        sample: Tensor,
        timestep: Tensor,
        encoder_hidden_states: Tensor,
        fps: Tensor | None = None,
        guidance: Tensor | None = None,
        return_features: bool = False,
    ) -> Any: ...


@dataclass(frozen=True)
class Losses:
    """``total`` is what is minimized; ``terms`` are what is logged, detached scalars by name."""

    total: Tensor
    terms: dict[str, Tensor]


@dataclass(frozen=True)
class TrainedNetwork:
    """A network that a method trains, in float32, with AdamW and a schedule of its own.

    Attributes:
        learning_rate: its peak; none: the one of the verb's settings.
        betas: of AdamW.
        average: whether a moving average of its weights is kept; the student's always is.
        fresh: names of layers that start untrained: trained in full also where others only get adapters.
    """

    module: nn.Module
    learning_rate: float | None = None
    betas: tuple[float, float] = (0.9, 0.999)
    average: bool = False
    fresh: tuple[str, ...] = ()


@dataclass(frozen=True)
class MethodInputs:
    """What a worker makes a method of; networks are on the worker's device.

    Attributes:
        teacher, student: U-Nets; the student is what the stage starts from.
        teacher_scheduler, student_scheduler: noise processes of their pipelines.
        empty_text: embedding of the empty text (L, D), for guidance.
        rewards: what scores the student's videos, where the stage has rewards.
    """

    teacher: nn.Module
    student: nn.Module
    teacher_scheduler: VideoScheduler
    student_scheduler: VideoScheduler
    empty_text: Tensor
    rewards: "RewardTerm | None" = None


@dataclass(frozen=True)
class TrainingStep:
    """What one step gives to the losses.

    Attributes:
        networks: what is trained, by name; gradients flow through calls, so call any but the one that is being updated
            without gradients.
        averages: moving averages of the networks that have one.
        batch: of the job's data, on the networks' device; see `LatentCache.load` for the one of a cache.
        generator: the source of randomness on the networks' device.
        host_generator: the same on the CPU, for what decides how the step goes on (timesteps, which frames): the
            device need not be waited for. On the CPU it is ``generator``.
        number: of the step, from 0.
        progress: the share of the training that is done, 0 to 1.
    """

    networks: Mapping[str, Denoiser]
    averages: Mapping[str, Denoiser]
    batch: Batch
    generator: torch.Generator
    host_generator: torch.Generator
    number: int = 0
    progress: float = 0.0


@dataclass(frozen=True)
class MethodCost:
    """What a step of a method runs, for the planner, in passes a sample of the batch.

    Attributes:
        teacher_passes, student_passes: passes without gradient.
        trained_passes: passes of a trained network with a backward pass, whose activations are alive together.
        rewarded_share: videos that rewards see.
        networks: whose size each trained network has; the student is the first.
        other_updates: of each of the other networks in a step.
    """

    teacher_passes: float
    student_passes: float
    trained_passes: float
    rewarded_share: float = 1.0
    networks: tuple[Literal["student", "teacher"], ...] = ("student",)
    other_updates: float = 1.0


class Method(ABC):
    """A training method. It knows no engines, no workers and no checkpoints.

    It is made as ``Method(settings, inputs)`` with its checked ``Settings`` and `MethodInputs`, once in every worker.

    Attributes:
        networks: what it trains, by name; `STUDENT` is one of them.
    """

    Settings: ClassVar[type[Section]] = NoSettings
    networks: Mapping[str, TrainedNetwork]

    def updates(self, step: int) -> Sequence[str]:
        """Names of the networks that a step (from 0) updates, in their order; a name may occur several times.

        It must depend on the step alone, so that all workers agree.
        """
        return (STUDENT,)

    @abstractmethod
    def losses(self, network: str, step: TrainingStep) -> Losses:
        """The losses of one update of ``network``; gradients must reach its weights alone."""

    def read(self, lines: Sequence[Mapping[str, float]]) -> Sequence[Event]:
        """Called in every worker with the log's lines since the last call, whose means are over all workers.

        What it says must depend on them alone, so that all workers stop together.
        """
        return ()

    def state(self) -> dict[str, Any]:
        """What a checkpoint must hold of this worker besides networks: tensors, numbers, texts, and lists of them."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restores `state`. Raises RuntimeError where there is some that this method does not know."""
        if state:
            raise RuntimeError(f"{type(self).__name__} does not know the state {sorted(state)}")

    @classmethod
    def scheduler_changes(cls, settings: Any) -> dict[str, Any]:
        """What changes in the configuration of the student's noise process, and how its result is sampled."""
        return {}

    @classmethod
    @abstractmethod
    def cost(cls, settings: Any, batch: int, rewarded: bool) -> MethodCost:
        """What a step of ``batch`` samples costs, with rewards or without."""


class GuidedTeacher:
    """A frozen teacher with classifier-free guidance, both passes in one batch.

    The model is put in evaluation mode and its parameters are frozen: dropout would put noise in the targets.

    Args:
        model: the U-Net.
        empty_text: embedding of the empty text (L, D).
        features: which of the model's features are returned, by index; default: all.
    """

    def __init__(self, model: nn.Module, empty_text: Tensor, features: Sequence[int] | None = None) -> None:
        self.model = model.eval().requires_grad_(False)
        self.empty_text = empty_text
        self._features = features

    @torch.no_grad()
    def __call__(
        self, x: Tensor, t: Tensor, text: Tensor, fps: Tensor, scale: Tensor | float
    ) -> tuple[Tensor, list[Tensor]]:
        """Guided prediction, uncond + scale (cond - uncond), and the features of the conditional pass.

        Args:
            x: noisy latents (B, C, T, h, w).
            t: timesteps (B,), on any device.
            text: embeddings (B, L, D).
            fps: frame rates (B,): the same for the conditional and the unconditional pass.
            scale: guidance scale, one or (B,); at 1 there is only the conditional pass.
        """
        count, t = len(x), t.to(x.device, non_blocking=True)
        if isinstance(scale, Tensor) or scale != 1:
            text = torch.cat([text, self.empty_text.to(text).expand_as(text)])
            x, t, fps = torch.cat([x, x]), torch.cat([t, t]), torch.cat([fps, fps])
        noise, features = self.model(x, t, text, fps=fps, return_features=True)
        conditional, *unconditional = noise.float().split(count)
        guided = conditional
        if unconditional:
            if isinstance(scale, Tensor):
                scale = scale.view(-1, *[1] * (x.dim() - 1))
            guided = unconditional[0] + scale * (conditional - unconditional[0])
        chosen = features if self._features is None else [features[index] for index in self._features]
        return guided, [feature[:count] for feature in chosen]


def draw_stratified(high: int, count: int, generator: torch.Generator) -> Tensor:
    """``count`` integers of 0..high - 1, on the generator's device.

    One from each of ``count`` equal ranges, in random order: each is uniform by itself, and a batch's mean
    varies less than that of independent ones.
    """
    device = generator.device
    shift = torch.rand(1, generator=generator, device=device)
    even = (shift + torch.arange(count, device=device)) / count % 1
    order = torch.randperm(count, generator=generator, device=device)
    return (even[order] * high).long().clamp_max(high - 1)
