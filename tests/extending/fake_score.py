"""A method from outside: distribution matching, with a second network that learns the student's own videos.

Source: Yin et al., One-step Diffusion with Distribution Matching Distillation (arXiv 2311.18828).
"""

import copy
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from hummingbird.config.section import Section
from hummingbird.training.methods import base
from hummingbird.training.methods.base import STUDENT, Losses, TrainedNetwork, TrainingStep
from pydantic import PositiveFloat, PositiveInt


class DistributionMatching(base.Method):
    """The student's one-step videos go where the teacher finds them likelier than the fake score does."""

    class Settings(Section):
        fake_learning_rate: PositiveFloat = 1e-3
        fake_updates: PositiveInt = 2
        guidance_scale: PositiveFloat = 3.0

    def __init__(self, settings: Any, inputs: base.MethodInputs) -> None:
        fake = TrainedNetwork(copy.deepcopy(inputs.teacher), settings.fake_learning_rate, (0.0, 0.999))
        self.networks = {STUDENT: TrainedNetwork(inputs.student), "fake_score": fake}
        self.settings, self.scheduler = settings, inputs.student_scheduler
        self.teacher = base.GuidedTeacher(inputs.teacher, inputs.empty_text)

    def updates(self, step: int) -> Sequence[str]:
        return (*["fake_score"] * self.settings.fake_updates, STUDENT)

    def losses(self, network: str, step: TrainingStep) -> Losses:
        shape, text, fps = step.batch["latents"].shape, step.batch["text"], step.batch["fps"]
        noise, fresh = (self.scheduler.draw_noise(shape, step.generator) for _ in range(2))
        steps = len(self.scheduler.alphas_cumprod)
        last = torch.full(shape[:1], steps - 1, device=noise.device)
        with torch.set_grad_enabled(network == STUDENT):
            video = self.scheduler.estimates(step.networks[STUDENT](noise, last, text, fps=fps), noise, last)[
                0
            ]
        t = base.draw_stratified(steps, shape[0], step.generator)
        x = self.scheduler.add_noise(video.detach(), fresh, t)
        with torch.set_grad_enabled(network != STUDENT):
            output = step.networks["fake_score"](x, t, text, fps=fps).float()
        if network != STUDENT:
            loss = F.mse_loss(output, self.scheduler.target(video, fresh, t))
            return Losses(loss, {"denoising": loss.detach()})
        guided, _ = self.teacher(x, t, text, fps, self.settings.guidance_scale)
        fake, real = (self.scheduler.estimates(one, x, t)[0] for one in (output, guided))
        size = (video.detach() - real).abs().mean((1, 2, 3, 4), keepdim=True)
        loss = F.mse_loss(video, video.detach() - (fake - real) / size) / 2
        return Losses(loss, {"matching": loss.detach()})

    @classmethod
    def cost(cls, settings: Any, batch: int, rewarded: bool) -> base.MethodCost:
        return base.MethodCost(2, settings.fake_updates + 1, 1, networks=("student", "teacher"))
