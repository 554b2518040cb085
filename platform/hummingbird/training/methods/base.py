"""What every training method is, and the guided teacher that distillation and feedback share."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from hummingbird.training.latent_cache import Batch


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
    """``total`` is what is minimised; ``terms`` are what is logged, detached scalars by name."""

    total: Tensor
    terms: dict[str, Tensor]


class Method(ABC):
    """A training method: losses for a student. It knows no optimizer, no workers, no checkpoints.

    Attributes:
        progress: the share of the training that is done, 0 to 1, as whoever trains says before each step.
    """

    progress: float = 0.0

    @abstractmethod
    def losses(
        self, student: Denoiser, average: Denoiser, batch: Batch, generator: torch.Generator
    ) -> Losses:
        """The losses of one batch.

        Args:
            student: the model that learns; gradients flow through its call.
            average: the moving average of the student's weights, for methods whose targets come from it.
            batch: as `LatentCache.load` returns it, on the models' device.
            generator: the only source of randomness, on the models' device.
        """


class Teacher:
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
            t: timesteps (B,).
            text: embeddings (B, L, D).
            fps: frame rates (B,): the same for the conditional and the unconditional pass.
            scale: guidance scale, one or (B,); at 1 there is only the conditional pass.
        """
        count = len(x)
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
