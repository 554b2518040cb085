"""Distillation: the student, in one pass, learns the guided teacher's noise and its features.

Source: AMD-Hummingbird, first stage (arXiv 2503.18559); the feature loss is its image-to-video successor's.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from hummingbird.models.scheduler import VideoScheduler
from hummingbird.training.latent_cache import Batch
from hummingbird.training.methods.base import (
    Denoiser,
    Losses,
    Method,
    Teacher,
    draw_stratified,
)


class Distillation(Method):
    """Mean squared error to the guided prediction, plus one relative error a stage to the teacher's features.

    The student keeps the teacher's widths, so features are compared as they are. Each stage's error is
    divided by the mean square of the teacher's feature, so that a stage with large activations does not drown
    the others.

    Args:
        teacher: the guided teacher; its features in the order of the student's.
        diffusion: the noise process, as the teacher was trained with it.
        guidance: scale of the target, uncond + guidance (cond - uncond).
        feature_weight: weight of the mean of the feature terms; 0 leaves them out.
    """

    def __init__(
        self, teacher: Teacher, diffusion: VideoScheduler, guidance: float, feature_weight: float
    ) -> None:
        self._teacher, self._diffusion = teacher, diffusion
        self._guidance, self._feature_weight = guidance, feature_weight
        self._timesteps = len(diffusion.alphas_cumprod)

    def losses(
        self, student: Denoiser, average: Denoiser, batch: Batch, generator: torch.Generator
    ) -> Losses:
        """Terms: ``output``, and ``feature_0``, ``feature_1``, ... from the first stage to the last."""
        x0, text, fps = batch["latents"], batch["text"], batch["fps"]
        t = draw_stratified(self._timesteps, len(x0), generator)
        x = self._diffusion.add_noise(x0, self._diffusion.draw_noise(x0.shape, generator), t)
        target, taught = self._teacher(x, t, text, fps, self._guidance)
        noise, learnt = student(x, t, text, fps=fps, return_features=True)
        output = F.mse_loss(noise.float(), target)
        terms = {"output": output}
        total = output
        if self._feature_weight:
            features = [_relative_error(a, b) for a, b in zip(learnt, taught, strict=True)]
            terms |= {f"feature_{stage}": error for stage, error in enumerate(features)}
            total = total + self._feature_weight * torch.stack(features).mean()
        return Losses(total, {name: term.detach() for name, term in terms.items()})


def _relative_error(learnt: Tensor, taught: Tensor) -> Tensor:
    taught = taught.float()
    return F.mse_loss(learnt.float(), taught) / taught.square().mean().clamp_min(1e-8)
