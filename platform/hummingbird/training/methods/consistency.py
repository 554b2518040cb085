"""Feedback: consistency distillation to a few steps, with an image and a video reward on decoded estimates.

Sources: AMD-Hummingbird, second stage (arXiv 2503.18559); T2V-Turbo (arXiv 2405.18750); latent consistency
models (arXiv 2310.04378); phased consistency models (arXiv 2405.18407); training on the student's own samples after
on-policy distillation (arXiv 2306.13649) and DMD2's backward simulation (arXiv 2405.14867); rewards through all steps
after DRaFT (arXiv 2309.17400).
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import torch
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
from hummingbird.training.methods.replay import Memory

HUBER_C = 0.001
MEMORY = 128  # batches of the teacher's answers that a worker keeps where they are used again


class Scorer(Protocol):
    """What feedback uses of `hummingbird.models.rewards.TextVideoScorer`; differentiable in pixels."""

    def image_score(self, frames: Tensor, input_ids: Tensor, attention_mask: Tensor) -> Tensor: ...

    def video_score(self, video: Tensor, input_ids: Tensor, attention_mask: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Reward:
    """What scores the decoded estimate.

    Attributes:
        decode: latents (B, C, T, h, w) to frames (B, T, 3, H, W) in 0..1, differentiable.
        scorer: the reward models.
        image_weight, video_weight: weights of the two rewards.
        image_frames: frames drawn at random for the image reward.
        video_frames: evenly spaced frames for the video reward.
    """

    decode: Callable[[Tensor], Tensor]
    scorer: Scorer
    image_weight: float
    video_weight: float
    image_frames: int
    video_frames: int


class Feedback(Method):
    """The student's estimate of x0 must equal that of its target, further along the teacher's trajectory.

    The teacher takes one solver step along its guided trajectory, cond + w (cond - uncond), with w drawn from a
    range; the student embeds w. The estimate itself is decoded and rewarded. Where the noise process has phases, it is
    at the end of its phase that the student must arrive where its target does, and its own whole videos are rewarded.

    Args:
        teacher: the original teacher, guided.
        diffusion: the noise process; without a rescale of x0, which few-step models do not use.
        guidance: range of w.
        reward: the rewards; none: consistency alone.
        target: whose estimate is the target: the ``student``'s own, without gradient, or its moving
            ``average``; or the ``teacher``'s, which then goes on to the phase's end from where phases start, the
            only timesteps at which the student is asked when it samples.
        on_policy: share of the samples that begin where the student's average itself is led by its own few steps
            from noise, as when it samples, and not at a noised clip. The teacher's way on from there corrects what
            the earlier steps did wrong.
        reuse: steps that learn from each of the teacher's answers, which cost more than learning from them: one at
            once, the others from a memory of the last ``MEMORY`` batches.
        rollouts: in phases, videos a batch that the student makes for the rewards, with a gradient through all its
            steps (arXiv 2309.17400); of one phase every estimate is rewarded.
        reward_from: the share of the training after which there are rewards.

    Raises:
        ValueError: the noise process rescales x0, or it has one phase where the student is to learn from its own
            trajectory or from the teacher's.
    """

    def __init__(
        self,
        teacher: Teacher,
        diffusion: VideoScheduler,
        guidance: tuple[float, float],
        reward: Reward | None = None,
        target: str = "student",
        on_policy: float = 0.0,
        reuse: int = 1,
        rollouts: int = 2,
        reward_from: float = 0.0,
    ) -> None:
        if not bool((diffusion.scales == 1).all()):
            raise ValueError(
                "a few-step model is trained without the rescale of x0: pass a VideoScheduler with x0_scale=1"
            )
        if diffusion.config.phases == 1 and (on_policy or target == "teacher"):
            raise ValueError(
                "samples on the student's own trajectory, and the teacher's targets, need phases"
            )
        self._teacher, self._diffusion, self._reward = teacher, diffusion, reward
        self._guidance, self._target, self._on_policy = guidance, target, on_policy
        self._memory = Memory(reuse, MEMORY)
        self._rollouts, self._reward_from = rollouts, reward_from

    def losses(
        self, student: Denoiser, average: Denoiser, batch: Batch, generator: torch.Generator
    ) -> Losses:
        """Terms: ``consistency`` and, once there are rewards, ``image_reward``, ``video_reward`` (larger is better)."""
        lesson = self._memory.recall(lambda: self._lesson(average, batch, generator), generator)
        x, t, w, text, fps = (lesson[name] for name in ("x", "t", "w", "text", "fps"))
        target = self._wanted(average if self._target == "average" else student, lesson)
        output = student(x, t, text, fps=fps, guidance=w).float()
        estimate = self._estimate(output, x, t)
        consistency = pseudo_huber(estimate, target)
        terms = {"consistency": consistency}
        total = consistency
        if self._reward is not None and self.progress >= self._reward_from:
            videos, asked = estimate, lesson
            if self._diffusion.config.phases > 1:
                asked = {name: rows[: self._rollouts] for name, rows in lesson.items()}
                videos = self._roll_out(student, asked, generator)
            image, video = _rewards(self._reward, videos, asked, generator)
            total = total - self._reward.image_weight * image - self._reward.video_weight * video
            terms |= {"image_reward": image, "video_reward": video}
        return Losses(total, {name: term.detach() for name, term in terms.items()})

    @torch.no_grad()
    def _lesson(self, average: Denoiser, batch: Batch, generator: torch.Generator) -> Batch:
        """Noisy latents ``x`` at ``t``, and where the teacher, guided by ``w``, gets: ``reached`` at ``at``."""
        x0, text, fps = batch["latents"], batch["text"], batch["fps"]
        times = self._diffusion.solver_timesteps.to(x0.device)
        starts = torch.tensor(self._diffusion.phase_starts, device=x0.device)
        asked = starts if self._target == "teacher" else times
        t = asked[draw_stratified(len(asked), len(x0), generator)]
        low, high = self._guidance
        w = low + (high - low) * torch.rand(len(x0), generator=generator, device=generator.device)
        noise = self._diffusion.draw_noise(x0.shape, generator)
        x = self._diffusion.add_noise(x0, noise, t)
        described = {name: rows for name, rows in batch.items() if name != "latents"} | {"w": w}
        if self._on_policy:
            own = torch.rand(len(x0), generator=generator, device=generator.device) < self._on_policy
            self._lead(average, own, x, t, noise, described)
        reached, at, end = x, t, self._diffusion.phase_end(t)
        while bool((at > end).any()):
            output, _ = self._teacher(reached, at, text, fps, 1.0 + w)
            # A solver step goes from one of its timesteps to the one before, from the first of them to 0.
            position = torch.searchsorted(times, at)
            earlier = torch.maximum(torch.where(position > 0, times[position - 1], 0), end)
            reached = self._diffusion.ddim_step(*self._diffusion.estimates(output, reached, at), at, earlier)
            at = earlier
            if self._target != "teacher":
                break
        return {**described, "x": x, "t": t, "reached": reached, "at": at}

    def _lead(
        self, average: Denoiser, own: Tensor, x: Tensor, t: Tensor, noise: Tensor, described: Batch
    ) -> None:
        """Moves the samples ``own`` to the start of their phase, where the model's own steps lead from ``noise``."""
        starts = self._diffusion.phase_starts
        led, wanted = noise.clone(), t.clone()
        t[own] = starts[0]
        for start, following in pairwise(starts):
            rows = torch.nonzero(own & (wanted <= following)).flatten()
            if not len(rows):
                break
            asked = {name: described[name][rows] for name in ("text", "fps", "w")}
            led[rows] = self._step(
                average, led[rows], torch.full_like(rows, start), torch.full_like(rows, following), asked
            )
            t[rows] = following
        x[own] = led[own]

    def _roll_out(self, student: Denoiser, asked: Batch, generator: torch.Generator) -> Tensor:
        """The student's own videos, all its steps from noise, as it samples.

        In phases only these are videos: where a step before the last should lead is a mean of many, and to reward
        sharp ones there leads away from it. And the gradient reaches the steps that decide what is seen, the first.
        """
        x = self._diffusion.draw_noise(asked["x"].shape, generator)
        for start, following in pairwise([*self._diffusion.phase_starts, 0]):
            t = torch.full_like(asked["t"], start)
            x = self._step(student, x, t, torch.full_like(t, following), asked)
        return x

    def _step(self, model: Denoiser, x: Tensor, t: Tensor, end: Tensor, asked: Batch) -> Tensor:
        """Where one step of a few-step model leads in phases, from ``t`` to ``end``."""
        output = model(x, t, asked["text"], fps=asked["fps"], guidance=asked["w"]).float()
        return self._diffusion.ddim_step(*self._diffusion.estimates(output, x, t), t, end)

    def _estimate(self, output: Tensor, x: Tensor, t: Tensor) -> Tensor:
        """The student's x0; in phases nothing but a step's length tells them from a teacher's."""
        if self._diffusion.config.phases == 1:
            return self._diffusion.denoised(output, x, t)
        return self._diffusion.estimates(output, x, t)[0]

    @torch.no_grad()
    def _wanted(self, model: Denoiser, lesson: Batch) -> Tensor:
        """What the estimate at ``x`` should be: ``model``'s own at ``at``, where the teacher is not yet at the end."""
        process = self._diffusion
        x, t, reached, at = (lesson[name] for name in ("x", "t", "reached", "at"))
        end = process.phase_end(t)
        if process.config.phases == 1:
            output = model(reached, at, lesson["text"], fps=lesson["fps"], guidance=lesson["w"]).float()
            return process.denoised(output, reached, at)
        there = at == end
        arrived = reached
        if not bool(there.all()):
            onward = self._step(model, reached, at, end, lesson)
            arrived = torch.where(there.view(-1, *[1] * (x.dim() - 1)), reached, onward)
        return process.x0_leading_to(arrived, x, t, end)


def pseudo_huber(estimate: Tensor, target: Tensor, c: float = HUBER_C) -> Tensor:
    """Mean of sqrt(d^2 + c^2) - c: squared near zero, absolute beyond c."""
    return ((estimate.float() - target.float()).square() + c * c).sqrt().mean() - c


def _rewards(
    reward: Reward, latents: Tensor, batch: Batch, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """The mean image and video scores of the latents; only the frames that are scored are decoded."""
    ids, mask = batch["input_ids"], batch["attention_mask"]
    frames = latents.shape[2]
    even = torch.linspace(0, frames - 1, min(reward.video_frames, frames)).round().long().to(latents.device)
    drawn = torch.randperm(frames, generator=generator, device=generator.device)[: reward.image_frames]
    needed, position = torch.unique(torch.cat([even, drawn]), return_inverse=True)
    pixels = reward.decode(latents[:, :, needed])
    video = reward.scorer.video_score(pixels[:, position[: len(even)]], ids, mask).float().mean()
    images = pixels[:, position[len(even) :]]
    image = reward.scorer.image_score(images.flatten(0, 1), ids, mask)
    return image.float().mean(), video
