"""Consistency distillation to a few steps, with rewards on the decoded estimates.

Sources: AMD-Hummingbird, second stage (arXiv 2503.18559); T2V-Turbo (arXiv 2405.18750); latent consistency
models (arXiv 2310.04378).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Self

import torch
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor, nn

from hummingbird.config.section import Section
from hummingbird.core.hashes import public_config
from hummingbird.training.event import Event
from hummingbird.training.latent_cache import Batch
from hummingbird.training.methods.base import (
    STUDENT,
    Denoiser,
    GuidedTeacher,
    Losses,
    Method,
    MethodCost,
    MethodInputs,
    TrainedNetwork,
    TrainingStep,
    draw_stratified,
)
from hummingbird.training.methods.replay import ReplayBuffer

HUBER_C = 0.001
REPLAY_BATCHES = 128
"""Batches of the teacher's answers that a worker stores where they are used again."""
FEW_STEPS = 4
GUIDANCE_LAYER = "time_embedding.cond_proj"


class ConsistencySettings(Section):
    """The teacher's trajectory, and whose estimate is the target."""

    guidance_scale_min: float = Field(
        2.0,
        ge=1,
        description="smallest scale s of the target uncond + s (cond - uncond), which the student embeds",
    )
    guidance_scale_max: float = Field(4.0, ge=1, description="largest guidance scale of the target")
    guidance_size: PositiveInt = Field(
        64, multiple_of=2, description="size of the embedding of the guidance scale"
    )
    solver_steps: int | None = Field(
        None,
        ge=4,
        le=50,  # more would leave out the noisiest timesteps, which sampling starts from
        description="steps of the teacher's solver, between whose timesteps estimates must agree; fewer are longer "
        "and sooner learned; none: as the teacher is sampled",
    )
    target: Literal["student", "average"] = Field(
        "student",
        description="whose estimate is the target after the teacher's solver step: the student's own, as in the "
        "paper, or its moving average's",
    )
    reuse: PositiveInt = Field(
        1,
        description="steps that learn from each of the teacher's answers, which cost more than learning from them",
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.guidance_scale_max < self.guidance_scale_min:
            raise ValueError("guidance_scale_max is below guidance_scale_min")
        return self


class ConsistencyDistillation(Method):
    """The student's estimate of x0 must equal that of its target, further along the teacher's trajectory.

    The teacher takes one solver step along its guided trajectory, with a guidance scale drawn from a range that the
    student embeds (as w = s - 1). The estimate itself is decoded and rewarded. The noise process has no rescale of x0.
    """

    Settings = ConsistencySettings

    def __init__(self, settings: ConsistencySettings, inputs: MethodInputs) -> None:
        self._settings, self._rewards = settings, inputs.rewards
        student = with_guidance_embedding(inputs.student, settings.guidance_size)
        fresh = () if student is inputs.student else (GUIDANCE_LAYER,)
        self.networks = {STUDENT: TrainedNetwork(student, fresh=fresh)}
        self._teacher = GuidedTeacher(inputs.teacher, inputs.empty_text)
        own = inputs.student_scheduler
        self._scheduler = own.from_config(own.config, **self.scheduler_changes(settings))
        self._replay = ReplayBuffer(settings.reuse, REPLAY_BATCHES)

    def losses(self, network: str, step: TrainingStep) -> Losses:
        """Terms: ``consistency`` and, once there are rewards, ``reward/NAME`` (larger is better)."""
        student = step.networks[STUDENT]
        total, estimate, rows = self.consistency_loss(step)
        terms = {"consistency": total}
        gained, scores = self.rewarded(step, lambda: self.rewarded_videos(student, estimate, rows, step))
        return Losses(
            total if gained is None else total - gained,
            {name: term.detach() for name, term in (terms | scores).items()},
        )

    def consistency_loss(self, step: TrainingStep) -> tuple[Tensor, Tensor, Batch]:
        """The loss, the student's estimates of x0, and what they are of."""
        student, average = step.networks[STUDENT], step.averages[STUDENT]
        rows = self._replay.next(lambda: self.teacher_batch(average, step), step.host_generator)
        target = self.consistency_target(average if self._settings.target == "average" else student, rows)
        estimate = self.estimate(predict_few_step(student, rows["x"], rows["t"], rows), rows["x"], rows["t"])
        return pseudo_huber(estimate, target), estimate, rows

    def rewarded(
        self, step: TrainingStep, videos: Callable[[], tuple[Tensor, Sequence[str]]]
    ) -> tuple[Tensor | None, dict[str, Tensor]]:
        """What the loss is made smaller by, if rewards count now, and their terms; see `RewardTerm.loss`."""
        if self._rewards is None:
            return None, {}
        return self._rewards.loss(videos, step.progress, step.number, step.host_generator)

    @torch.no_grad()
    def teacher_batch(self, average: Denoiser, step: TrainingStep) -> Batch:
        """Noisy latents ``x`` at ``t``, and where the teacher, guided by ``w`` + 1, gets: ``reached`` at ``at``.

        Timesteps are on the CPU, so that nothing waits for the device.
        """
        x0 = step.batch["latents"]
        starts = self.start_timesteps()
        t = starts[draw_stratified(len(starts), len(x0), step.host_generator)]
        w = self.draw_guidance(len(x0), step)
        noise = self._scheduler.draw_noise(x0.shape, step.generator)
        x = self._scheduler.add_noise(x0, noise, t)
        described = {name: rows for name, rows in step.batch.items() if name != "latents"} | {"w": w}
        x, t = self.backward_simulation(average, x, t, noise, described, step.host_generator)
        reached, at = self.follow_teacher(x, t, described)
        return {**described, "x": x, "t": t, "reached": reached, "at": at}

    def draw_guidance(self, count: int, step: TrainingStep) -> Tensor:
        """``count`` guidance scales, as the w = s - 1 that the student embeds."""
        low, high = self._settings.guidance_scale_min - 1, self._settings.guidance_scale_max - 1
        device = step.generator.device
        return low + (high - low) * torch.rand(count, generator=step.generator, device=device)

    def start_timesteps(self) -> Tensor:
        """Timesteps at which the student is trained."""
        return self._scheduler.solver_timesteps

    def backward_simulation(
        self,
        average: Denoiser,
        x: Tensor,
        t: Tensor,
        noise: Tensor,
        described: Batch,
        host_generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        """Where samples begin, and at which timesteps: here at noised clips."""
        return x, t

    def follow_teacher(self, x: Tensor, t: Tensor, described: Batch) -> tuple[Tensor, Tensor]:
        """Where the teacher gets from ``x`` at ``t``, and at which timesteps: one solver step."""
        return self._solver_step(x, t, torch.zeros_like(t), described)

    @torch.no_grad()
    def consistency_target(self, model: Denoiser, rows: Batch) -> Tensor:
        """What the estimate at ``x`` should be: ``model``'s own at ``at``."""
        output = predict_few_step(model, rows["reached"], rows["at"], rows)
        return self._scheduler.denoised(output, rows["reached"], rows["at"])

    def estimate(self, output: Tensor, x: Tensor, t: Tensor) -> Tensor:
        """The student's estimate of x0."""
        return self._scheduler.denoised(output, x, t)

    def rewarded_videos(
        self, student: Denoiser, estimate: Tensor, rows: Batch, step: TrainingStep
    ) -> tuple[Tensor, list[str]]:
        """Latents (B, C, T, h, w) that are rewarded, and their captions: here the estimates themselves."""
        return estimate, rows["captions"]

    def read(self, lines: Sequence[Mapping[str, float]]) -> Sequence[Event]:
        """What held-out rewards say."""
        return self._rewards.read(lines) if self._rewards is not None else ()

    def state(self) -> dict[str, Any]:
        """The replay buffer, and what held-out rewards have said."""
        replay = {"replay": self._replay.state()} if self._settings.reuse > 1 else {}
        return replay | ({"rewards": self._rewards.state()} if self._rewards is not None else {})

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restores `state`."""
        if self._settings.reuse > 1:
            self._replay.load_state(state["replay"])
        if self._rewards is not None:
            self._rewards.load_state(state["rewards"])

    @classmethod
    def scheduler_changes(cls, settings: Any) -> dict[str, Any]:
        """Few-step models are trained and sampled without the rescale of x0."""
        changes = {
            "sampling": "consistency",
            "phases": 1,
            "num_inference_steps": FEW_STEPS,
            "guidance_scale": (settings.guidance_scale_min + settings.guidance_scale_max) / 2,
            "x0_scale": 1.0,
        }
        return (
            changes if settings.solver_steps is None else {**changes, "solver_steps": settings.solver_steps}
        )

    @classmethod
    def cost(cls, settings: Any, batch: int, rewarded: bool) -> MethodCost:
        """The teacher's two passes, as often as they are computed; the target's, and the student's."""
        return MethodCost(teacher_passes=2 / settings.reuse, student_passes=1, trained_passes=1)

    def _solver_step(self, x: Tensor, t: Tensor, end: Tensor, described: Batch) -> tuple[Tensor, Tensor]:
        """One step of the teacher's solver to the timestep before ``t``, but not beyond ``end``."""
        output, _ = self._teacher(x, t, described["text"], described["fps"], 1.0 + described["w"])
        times = self._scheduler.solver_timesteps
        position = torch.searchsorted(times, t)
        earlier = torch.maximum(torch.where(position > 0, times[position - 1], 0), end)
        return self._scheduler.ddim_step(*self._scheduler.estimates(output, x, t), t, earlier), earlier


def predict_few_step(model: Denoiser, x: Tensor, t: Tensor, rows: Batch) -> Tensor:
    """A few-step model's output (B, C, T, h, w) in float32."""
    t = t.to(x.device, non_blocking=True)
    output: Tensor = model(x, t, rows["text"], fps=rows["fps"], guidance=rows["w"]).float()
    return output


def pseudo_huber(estimate: Tensor, target: Tensor, c: float = HUBER_C) -> Tensor:
    """Mean of sqrt(d^2 + c^2) - c: squared near zero, absolute beyond c."""
    return ((estimate.float() - target.float()).square() + c * c).sqrt().mean() - c


def with_guidance_embedding(unet: Any, size: int) -> nn.Module:
    """The same model with an embedding of the guidance scale that starts at zero, if it has none yet."""
    if unet.config.guidance_size:
        same: nn.Module = unet
        return same
    model: nn.Module = type(unet)(**{**public_config(unet.config), "guidance_size": size})
    missing, unexpected = model.load_state_dict(unet.state_dict(), strict=False)
    if unexpected or any("cond_proj" not in name for name in missing):
        raise RuntimeError(f"the guidance embedding changed other weights: {missing}, {unexpected}")
    torch.nn.init.zeros_(model.get_submodule(GUIDANCE_LAYER).weight)  # type: ignore[arg-type]
    return model.to(unet.device).eval()
