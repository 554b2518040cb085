"""Phased consistency: the few steps lead to the ends of their phases, without fresh noise; whole videos are rewarded.

Sources: phased consistency models (arXiv 2405.18407); training on the student's own samples after on-policy
distillation (arXiv 2306.13649) and DMD2's backward simulation (arXiv 2405.14867); rewards through all steps after
DRaFT (arXiv 2309.17400).
"""

from itertools import pairwise
from typing import Any, Literal, Self

import torch
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor

from hummingbird.training.latent_cache import Batch
from hummingbird.training.methods.base import Denoiser, MethodCost, TrainingStep
from hummingbird.training.methods.consistency import (
    ConsistencyDistillation,
    ConsistencySettings,
    predict_few_step,
)

SOLVER_STEPS = 50
"""Of a teacher's solver where no setting says, for the planner."""


class PhasedConsistencySettings(ConsistencySettings):
    """Phases, and where samples and targets come from."""

    phases: int = Field(
        4,
        ge=2,
        description="parts of the trajectory, as many as the few steps, which lead to their ends without fresh noise",
    )
    target: Literal["student", "average", "teacher"] = Field(  # type: ignore[assignment]
        "student",
        description="whose estimate is the target after the teacher's solver step: the student's own or its moving "
        "average's; teacher: no one's, the teacher itself goes on to the end of the phase",
    )
    on_policy: float = Field(
        0.0,
        ge=0,
        le=1,
        description="share of samples that begin where the student's own few steps lead from noise; the others begin "
        "at noised clips",
    )
    rollouts: PositiveInt = Field(
        2,
        description="videos a step and worker that the student makes in all its steps for the rewards, which then "
        "teach every step (at most batch_size)",
    )

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        if self.solver_steps is not None and self.phases > self.solver_steps:
            raise ValueError("there are more phases than solver_steps")
        return self


class PhasedConsistency(ConsistencyDistillation):
    """It is at the end of its phase that the student must arrive where its target does.

    With the teacher as target, it goes on to the phase's end from where phases start, the only timesteps at which the
    student is asked when it samples. A share of the samples begins where the student's average itself is led by its own
    steps from noise; the teacher's way on from there corrects what the earlier steps did wrong. Rewarded are the
    student's own whole videos: its estimates before the last step are means of many videos.
    """

    Settings = PhasedConsistencySettings
    _settings: PhasedConsistencySettings

    def start_timesteps(self) -> Tensor:
        """Where phases start, if the teacher leads to their ends; else all of the solver's."""
        if self._settings.target == "teacher":
            return torch.tensor(self._scheduler.phase_starts)
        return super().start_timesteps()

    def backward_simulation(
        self,
        average: Denoiser,
        x: Tensor,
        t: Tensor,
        noise: Tensor,
        described: Batch,
        host_generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        """Moves a share of the samples to the start of their phase, where the model's own steps lead from noise."""
        if not self._settings.on_policy:
            return x, t
        own = torch.rand(len(x), generator=host_generator) < self._settings.on_policy
        starts = self._scheduler.phase_starts
        simulated, wanted, t = noise.clone(), t, t.clone()
        t[own] = starts[0]
        for start, following in pairwise(starts):
            chosen = torch.nonzero(own & (wanted <= following)).flatten()
            if not len(chosen):
                break
            rows = chosen.to(x.device, non_blocking=True)
            asked = {name: described[name][rows] for name in ("text", "fps", "w")}
            simulated[rows] = self._phase_step(
                average,
                simulated[rows],
                torch.full_like(chosen, start),
                torch.full_like(chosen, following),
                asked,
            )
            t[chosen] = following
        own = own.to(x.device, non_blocking=True).view(-1, *[1] * (x.dim() - 1))
        return torch.where(own, simulated, x), t

    def follow_teacher(self, x: Tensor, t: Tensor, described: Batch) -> tuple[Tensor, Tensor]:
        """One solver step or, with the teacher as target, all to the end of the phase."""
        end = self._scheduler.phase_end(t)
        reached, at = self._solver_step(x, t, end, described)
        while self._settings.target == "teacher" and bool((at > end).any()):
            reached, at = self._solver_step(reached, at, end, described)
        return reached, at

    @torch.no_grad()
    def consistency_target(self, model: Denoiser, rows: Batch) -> Tensor:
        """The estimate at ``x`` that leads to the phase's end as the teacher did, or ``model`` from where it got."""
        x, t, reached, at = (rows[name] for name in ("x", "t", "reached", "at"))
        end = self._scheduler.phase_end(t)
        there = at == end
        if not bool(there.all()):
            onward = self._phase_step(model, reached, at, end, rows)
            there = there.to(x.device, non_blocking=True).view(-1, *[1] * (x.dim() - 1))
            reached = torch.where(there, reached, onward)
        return self._scheduler.x0_leading_to(reached, x, t, end)

    def estimate(self, output: Tensor, x: Tensor, t: Tensor) -> Tensor:
        """The student's x0; nothing but a step's length tells it from a teacher's."""
        return self._scheduler.estimates(output, x, t)[0]

    def rewarded_videos(
        self, student: Denoiser, estimate: Tensor, rows: Batch, step: TrainingStep
    ) -> tuple[Tensor, list[str]]:
        """The student's own videos, all its steps from noise, as it samples.

        The gradient reaches the steps that decide what is seen, the first.
        """
        asked = {
            name: rows[name][: self._settings.rollouts] for name in ("text", "fps", "w", "captions", "t")
        }
        x = self._scheduler.draw_noise(rows["x"][: self._settings.rollouts].shape, step.generator)
        for start, following in pairwise([*self._scheduler.phase_starts, 0]):
            t = torch.full_like(asked["t"], start)
            x = self._phase_step(student, x, t, torch.full_like(t, following), asked)
        return x, asked["captions"]

    @classmethod
    def scheduler_changes(cls, settings: Any) -> dict[str, Any]:
        """As many steps as phases."""
        phases = {"sampling": "phased", "phases": settings.phases, "num_inference_steps": settings.phases}
        return super().scheduler_changes(settings) | phases

    @classmethod
    def cost(cls, settings: Any, batch: int, rewarded: bool) -> MethodCost:
        """The teacher's way to the end of a phase, the student's own way to its start, and the rewarded videos."""
        to_the_end = settings.target == "teacher"
        steps = (settings.solver_steps or SOLVER_STEPS) / settings.phases if to_the_end else 1
        simulated = settings.on_policy * (settings.phases - 1) / 2 / settings.reuse
        share = min(settings.rollouts, batch) / batch
        return MethodCost(
            teacher_passes=2 * steps / settings.reuse,
            student_passes=simulated + (0 if to_the_end else 1),
            trained_passes=1 + (settings.phases * share if rewarded else 0),
            rewarded_share=share,
        )

    def _phase_step(self, model: Denoiser, x: Tensor, t: Tensor, end: Tensor, rows: Batch) -> Tensor:
        """Where one step of a few-step model leads in phases, from ``t`` to ``end``."""
        output = predict_few_step(model, x, t, rows)
        return self._scheduler.ddim_step(*self._scheduler.estimates(output, x, t), t, end)
