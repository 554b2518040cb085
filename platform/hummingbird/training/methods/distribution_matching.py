"""Distribution matching to a few steps, alone or in sum with consistency.

Sources: DMD2 (arXiv 2405.14867): a fake score network of its own that learns the student's videos, updated more often
than the student, which begins where its own steps lead from noise; score-regularized consistency (rCM, arXiv
2510.08431): one loss of both, with two weights.
"""

import copy
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor

from hummingbird.training.latent_cache import Batch
from hummingbird.training.methods.base import (
    STUDENT,
    Denoiser,
    Losses,
    MethodCost,
    MethodInputs,
    TrainedNetwork,
    TrainingStep,
    draw_stratified,
)
from hummingbird.training.methods.consistency import (
    GUIDANCE_LAYER,
    ConsistencyDistillation,
    ConsistencySettings,
    predict_few_step,
    with_guidance_embedding,
)

FAKE_SCORE = "fake_score"


class DistributionMatchingSettings(ConsistencySettings):
    """Steps, the fake score, and the weights of both parts of the loss."""

    steps: PositiveInt = Field(4, description="steps in which the student is sampled: 4, 2, 1")
    fake_learning_rate: PositiveFloat | None = Field(
        None, description="peak learning rate of the fake score network; none: the student's"
    )
    fake_updates: PositiveInt = Field(
        5,
        description="updates of the fake score network, which must keep up with the student, for one of the student",
    )
    matching_weight: PositiveFloat = Field(1.0, description="weight of distribution matching")
    consistency_weight: NonNegativeFloat = Field(
        0.0,
        description="weight of consistency beside it, which keeps the student from a few favorite videos; 0: none",
    )
    noise_min: float = Field(
        0.02, ge=0, lt=1, description="least noise at which both scores look, as a share"
    )
    noise_max: float = Field(0.98, gt=0, le=1, description="most")


class DistributionMatching(ConsistencyDistillation):
    """The student's videos go where the guided teacher finds them likelier than the fake score does.

    Both look at the student's estimate with noise: the teacher says how real videos would be denoised, the fake score,
    trained on nothing but the student's estimates, how the student's own are. The fake score begins as the teacher,
    with an embedding of the guidance scale, as the student's videos depend on it.
    """

    Settings = DistributionMatchingSettings
    _settings: DistributionMatchingSettings

    def __init__(self, settings: DistributionMatchingSettings, inputs: MethodInputs) -> None:
        super().__init__(settings, inputs)
        fake = with_guidance_embedding(copy.deepcopy(inputs.teacher), settings.guidance_size)
        network = TrainedNetwork(
            fake.requires_grad_(True),
            settings.fake_learning_rate,
            betas=(0.0, 0.999),
            fresh=(GUIDANCE_LAYER,),
        )
        self.networks = {**self.networks, FAKE_SCORE: network}
        self._starts = self._scheduler.few_step_timesteps(settings.steps)

    def updates(self, step: int) -> Sequence[str]:
        """The fake score first: it must know the student's videos."""
        return (*[FAKE_SCORE] * self._settings.fake_updates, STUDENT)

    def losses(self, network: str, step: TrainingStep) -> Losses:
        """Terms of the student: ``matching``, ``consistency`` where it has a weight, and rewards; of the fake score:
        ``denoising``."""
        student = step.networks[STUDENT]
        names = ("text", "fps", "captions")
        rows = {name: step.batch[name] for name in names}
        rows["w"] = self.draw_guidance(len(rows["text"]), step)
        video = self.own_videos(student, rows, step, learns=network == STUDENT)
        fresh = self._scheduler.draw_noise(video.shape, step.generator)
        t = self._draw_timesteps(len(video), step.host_generator)
        x = self._scheduler.add_noise(video.detach(), fresh, t)
        if network == FAKE_SCORE:
            output = predict_few_step(step.networks[FAKE_SCORE], x, t, rows)
            loss = F.mse_loss(output, self._scheduler.target(video, fresh, t))
            return Losses(loss, {"denoising": loss.detach()})
        matching = matching_loss(video, *self._scores(step.networks[FAKE_SCORE], x, t, rows))
        total, terms = self._settings.matching_weight * matching, {"matching": matching}
        if self._settings.consistency_weight:
            terms["consistency"], *_ = self.consistency_loss(step)
            total = total + self._settings.consistency_weight * terms["consistency"]
        gained, scores = self.rewarded(step, lambda: (video, rows["captions"]))
        total = total if gained is None else total - gained
        return Losses(total, {name: term.detach() for name, term in (terms | scores).items()})

    def own_videos(self, student: Denoiser, rows: Batch, step: TrainingStep, learns: bool) -> Tensor:
        """The student's estimates (B, C, T, h, w) of x0 in one of its steps, drawn at random, to which its earlier ones
        led from noise; only the last carries a gradient, if it ``learns``."""
        shape = step.batch["latents"].shape
        last = int(torch.randint(len(self._starts), (1,), generator=step.host_generator))
        x, estimate = self._scheduler.draw_noise(shape, step.generator), None
        for position, start in enumerate(self._starts[: last + 1]):
            t = torch.full((len(x),), start)
            if estimate is not None:
                x = self._scheduler.add_noise(estimate, self._scheduler.draw_noise(shape, step.generator), t)
            with torch.set_grad_enabled(learns and position == last):
                estimate = self.estimate(predict_few_step(student, x, t, rows), x, t)
        assert estimate is not None
        return estimate

    @classmethod
    def scheduler_changes(cls, settings: Any) -> dict[str, Any]:
        """Sampled in as many steps as were trained."""
        return super().scheduler_changes(settings) | {"num_inference_steps": settings.steps}

    @classmethod
    def cost(cls, settings: Any, batch: int, rewarded: bool) -> MethodCost:
        """The guided teacher and the fake score at the student's video, the student's way to it in every update, and
        consistency. A pass of the fake score counts as one of the teacher."""
        both = bool(settings.consistency_weight)
        own_way = (settings.fake_updates + 1) * (settings.steps - 1) / 2 + settings.fake_updates
        return MethodCost(
            teacher_passes=3 + both * 2 / settings.reuse,
            student_passes=own_way + both,
            trained_passes=1 + both,
            networks=("student", "teacher"),
            other_updates=settings.fake_updates,
        )

    def _draw_timesteps(self, count: int, generator: torch.Generator) -> Tensor:
        steps = len(self._scheduler)
        low, high = (
            round(share * (steps - 1)) for share in (self._settings.noise_min, self._settings.noise_max)
        )
        return low + draw_stratified(high - low + 1, count, generator)

    @torch.no_grad()
    def _scores(self, fake: Denoiser, x: Tensor, t: Tensor, rows: Batch) -> tuple[Tensor, Tensor]:
        """What x0 is by the fake score, and by the guided teacher."""
        guided, _ = self._teacher(x, t, rows["text"], rows["fps"], 1.0 + rows["w"])
        outputs = predict_few_step(fake, x, t, rows), guided
        first, second = (self._scheduler.estimates(output, x, t)[0] for output in outputs)
        return first, second


def matching_loss(video: Tensor, fake: Tensor, real: Tensor) -> Tensor:
    """A loss whose gradient in ``video`` (B, C, T, h, w) is (fake - real), each sample divided by the mean distance of
    its video from ``real``, over the number of values."""
    video, fake, real = video.float(), fake.float(), real.float()
    distance = (video.detach() - real).abs().mean((1, 2, 3, 4), keepdim=True).clamp_min(1e-6)
    target = (video.detach() - (fake - real) / distance).detach()
    return F.mse_loss(video, target) / 2
