"""A style: an adapter learns a user's own clips, while the model's own videos stay what they are.

Sources: LoRA (arXiv 2106.09685); prior preservation on the model's own samples, DreamBooth (arXiv 2208.12242), here
towards the base's predictions.
"""

from typing import Any

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeFloat
from torch import Tensor

from hummingbird.config.section import Section
from hummingbird.core.files import StoragePath
from hummingbird.training.latent_cache import Batch, LatentCache, to_device
from hummingbird.training.methods.base import (
    STUDENT,
    Denoiser,
    Losses,
    Method,
    MethodCost,
    MethodInputs,
    TrainedNetwork,
    TrainingStep,
    draw_stratified,
)
from hummingbird.training.methods.consistency import pseudo_huber


class StyleSettings(Section):
    """What must stay as it is."""

    prior: StoragePath | None = Field(
        None, description="cache of the base's own videos; none: nothing is held"
    )
    prior_weight: NonNegativeFloat = Field(
        1.0, description="weight of the base's own videos beside the clips'"
    )


class StyleLearning(Method):
    """The clips are denoised; on videos of the base's own the output must stay the base's.

    A few-step model learns at the timesteps that it was trained at, by the estimates of the clips, for the guidance
    scale that it is sampled with.
    """

    Settings = StyleSettings

    def __init__(self, settings: StyleSettings, inputs: MethodInputs) -> None:
        self._weight, self._scheduler = settings.prior_weight, inputs.student_scheduler
        base: Any = inputs.teacher
        self._base, self._embeds_guidance = base.eval().requires_grad_(False), bool(base.config.guidance_size)
        self._prior = None
        if settings.prior is not None and settings.prior_weight:
            self._prior = LatentCache(settings.prior)
        self.networks = {STUDENT: TrainedNetwork(inputs.student)}

    def losses(self, network: str, step: TrainingStep) -> Losses:
        """Terms: ``style``, and ``prior`` where the base's own videos are held."""
        student = step.networks[STUDENT]
        x0 = step.batch["latents"]
        x, t, noise = self._noised(x0, step)
        output = self._predict(student, x, t, step.batch)
        if self._scheduler.few_steps:
            style = pseudo_huber(self._scheduler.denoised(output, x, t), x0)
        else:
            style = F.mse_loss(output, self._scheduler.target(x0, noise, t))
        terms, total = {"style": style.detach()}, style
        if self._prior is not None:
            prior = self._prior_loss(self._prior, student, step)
            terms["prior"], total = prior.detach(), total + self._weight * prior
        return Losses(total, terms)

    def _prior_loss(self, cache: LatentCache, student: Denoiser, step: TrainingStep) -> Tensor:
        own = cache.samples_of_one_size()
        count = len(step.batch["latents"])
        drawn = torch.randint(len(own), (count,), generator=step.host_generator).tolist()
        rows = to_device(cache.load([own[index] for index in drawn]), step.generator.device)
        x, t, _ = self._noised(rows["latents"], step)
        with torch.no_grad():
            target = self._predict(self._base, x, t, rows)
        return F.mse_loss(self._predict(student, x, t, rows), target)

    def _noised(self, x0: Tensor, step: TrainingStep) -> tuple[Tensor, Tensor, Tensor]:
        few = self._scheduler.few_steps
        times = self._scheduler.solver_timesteps if few else torch.arange(len(self._scheduler))
        t = times[draw_stratified(len(times), len(x0), step.host_generator)]
        noise = self._scheduler.draw_noise(x0.shape, step.generator)
        return self._scheduler.add_noise(x0, noise, t), t, noise

    def _predict(self, model: Denoiser, x: Tensor, t: Tensor, rows: Batch) -> Tensor:
        guidance = None
        if self._embeds_guidance:
            guidance = torch.full((len(x),), self._scheduler.config.guidance_scale - 1, device=x.device)
        t = t.to(x.device, non_blocking=True)
        output: Tensor = model(x, t, rows["text"], fps=rows["fps"], guidance=guidance).float()
        return output

    @classmethod
    def cost(cls, settings: Any, batch: int, rewarded: bool) -> MethodCost:
        """Clips and the base's own videos, and the base at the latter."""
        held = float(settings.prior is not None and settings.prior_weight > 0)
        return MethodCost(teacher_passes=held, student_passes=0, trained_passes=1 + held)
