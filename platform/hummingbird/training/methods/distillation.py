"""Distillation: the student, in one pass, learns the guided teacher's noise and its features.

Source: AMD-Hummingbird, first stage (arXiv 2503.18559); the feature loss is its image-to-video successor's.
"""

from typing import Any

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeFloat, PositiveFloat
from torch import Tensor

from hummingbird.config.section import Section
from hummingbird.models.scheduler import VideoScheduler
from hummingbird.training.methods.base import (
    STUDENT,
    GuidedTeacher,
    Losses,
    Method,
    MethodCost,
    MethodInputs,
    TrainedNetwork,
    TrainingStep,
    draw_stratified,
)


class DistillationSettings(Section):
    """The target and the weight of the features."""

    guidance_scale: PositiveFloat | None = Field(
        None, description="guidance scale of the teacher's target; none: what the teacher is sampled with"
    )
    feature_weight: NonNegativeFloat = Field(0.1, description="weight of the feature loss")


class Distillation(Method):
    """Mean squared error to the guided prediction, plus one relative error a stage to the teacher's features.

    The student keeps the teacher's widths, so features are compared as they are. Each stage's error is
    divided by the mean square of the teacher's feature, so that a stage with large activations does not drown
    the others. The guidance is in the student then: it is sampled at a guidance scale of 1.
    """

    Settings = DistillationSettings

    def __init__(self, settings: DistillationSettings, inputs: MethodInputs) -> None:
        features = shared_features(inputs.teacher, inputs.student)
        self.networks = {STUDENT: TrainedNetwork(inputs.student)}
        self._teacher = GuidedTeacher(inputs.teacher, inputs.empty_text, features)
        self._scheduler = inputs.teacher_scheduler
        self._guidance_scale = target_guidance_scale(settings, inputs.teacher_scheduler)
        self._feature_weight = settings.feature_weight

    def losses(self, network: str, step: TrainingStep) -> Losses:
        """Terms: ``output``, and ``feature_0``, ``feature_1``, ... from the first stage to the last."""
        x0, text, fps = (step.batch[name] for name in ("latents", "text", "fps"))
        t = draw_stratified(len(self._scheduler.alphas_cumprod), len(x0), step.generator)
        x = self._scheduler.add_noise(x0, self._scheduler.draw_noise(x0.shape, step.generator), t)
        target, teacher_features = self._teacher(x, t, text, fps, self._guidance_scale)
        noise, features = step.networks[STUDENT](x, t, text, fps=fps, return_features=True)
        output = F.mse_loss(noise.float(), target)
        terms = {"output": output}
        total = output
        if self._feature_weight:
            errors = [_relative_error(a, b) for a, b in zip(features, teacher_features, strict=True)]
            terms |= {f"feature_{stage}": error for stage, error in enumerate(errors)}
            total = total + self._feature_weight * torch.stack(errors).mean()
        return Losses(total, {name: term.detach() for name, term in terms.items()})

    @classmethod
    def scheduler_changes(cls, settings: Any) -> dict[str, Any]:
        """50 steps of one pass."""
        return {"num_inference_steps": 50, "guidance_scale": 1.0}

    @classmethod
    def cost(cls, settings: Any, batch: int, rewarded: bool) -> MethodCost:
        """The teacher's two passes, and the student's."""
        return MethodCost(teacher_passes=2, student_passes=0, trained_passes=1)


def target_guidance_scale(settings: Section, scheduler: VideoScheduler) -> float:
    """The guidance scale of the target: the one that is set, or the teacher's own."""
    return float(getattr(settings, "guidance_scale", None) or scheduler.config.guidance_scale)


def shared_features(teacher: Any, student: Any) -> list[int]:
    """Which of the teacher's features the student has too: of down stages, middle block and up stages."""
    stages = len(teacher.config.down_stages)
    middle = [stages] if teacher.config.middle and student.config.middle else []
    first_up = stages + bool(teacher.config.middle)
    return [*range(stages), *middle, *range(first_up, first_up + stages)]


def _relative_error(feature: Tensor, target: Tensor) -> Tensor:
    target = target.float()
    return F.mse_loss(feature.float(), target) / target.square().mean().clamp_min(1e-8)
