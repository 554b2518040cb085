"""A training without any chance, whose loss is a mean over its samples."""

from collections.abc import Callable
from typing import Any

import torch
from hummingbird.training.loop import TrainingJob
from hummingbird.training.methods.base import (
    STUDENT,
    Losses,
    Method,
    MethodCost,
    TrainedNetwork,
    TrainingStep,
)


class Denoise(Method):
    """Mean squared error at a fixed timestep, without any noise: the mean over samples is all that it depends on."""

    def __init__(self, module: torch.nn.Module, every_clip_alike: bool) -> None:
        self.networks = {STUDENT: TrainedNetwork(module)}
        self._alike = every_clip_alike

    def losses(self, network: str, step: TrainingStep) -> Losses:
        x, text, fps = (step.batch[name] for name in ("latents", "text", "fps"))
        if self._alike:
            generator = torch.Generator().manual_seed(step.number)
            x, text, fps = (
                torch.rand(rows.shape[1:], generator=generator).expand_as(rows) for rows in (x, text, fps)
            )
        t = torch.full((len(x),), 500)
        loss = (step.networks[STUDENT](x, t, text, fps=fps) - x).square().mean()
        return Losses(loss, {"error": loss.detach()})

    @classmethod
    def cost(cls, settings: Any, batch: int, rewarded: bool) -> MethodCost:
        return MethodCost(0, 0, 1)


def denoising(job: TrainingJob, every_clip_alike: bool = False) -> Callable[[torch.device], Method]:
    """The job's student, without dropout, learns to give back its input; or one that depends on the step alone, so that
    any number of workers sees the same."""

    def build(device: torch.device) -> Method:
        student: Any = job.build(device).networks[STUDENT].module
        for module in student.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        return Denoise(student, every_clip_alike)

    return build
