"""Feedback: consistency distillation to a few steps, with an image and a video reward on decoded estimates.

Sources: AMD-Hummingbird, second stage (arXiv 2503.18559); T2V-Turbo (arXiv 2405.18750); latent consistency
models (arXiv 2310.04378); phased consistency models (arXiv 2405.18407).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from hummingbird.compression.cache import Batch
from hummingbird.compression.methods.base import (
    Denoiser,
    Losses,
    Method,
    Teacher,
    draw_stratified,
)
from hummingbird.models.diffusion import Diffusion

HUBER_C = 0.001


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
    """The student's estimate of x0 must equal that of its target one solver step earlier.

    The teacher takes that step along its guided trajectory, cond + w (cond - uncond), with w drawn from a
    range; the student embeds w. The estimate itself is decoded and rewarded. Where the noise process has phases, it is
    at the end of its phase that the student must arrive where its target does from one step earlier.

    Args:
        teacher: the original teacher, guided.
        diffusion: the noise process; without a rescale of x0, which few-step models do not use.
        guidance: range of w.
        reward: the rewards; none: consistency alone.
        target: whose estimate is the target: the ``student``'s own, without gradient, or its moving
            ``average``.

    Raises:
        ValueError: the noise process rescales x0.
    """

    def __init__(
        self,
        teacher: Teacher,
        diffusion: Diffusion,
        guidance: tuple[float, float],
        reward: Reward | None = None,
        target: str = "student",
    ) -> None:
        if not bool((diffusion.scales == 1).all()):
            raise ValueError(
                "a few-step model is trained without the rescale of x0: pass a Diffusion with x0_scale=1"
            )
        self._teacher, self._diffusion, self._reward = teacher, diffusion, reward
        self._guidance, self._target = guidance, target

    def losses(
        self, student: Denoiser, average: Denoiser, batch: Batch, generator: torch.Generator
    ) -> Losses:
        """Terms: ``consistency`` and, with rewards, ``image_reward``, ``video_reward`` (larger is better)."""
        x0, text, fps = batch["latents"], batch["text"], batch["fps"]
        times = self._diffusion.solver_timesteps.to(x0.device)
        position = draw_stratified(len(times), len(x0), generator)
        # A solver step goes from one of its timesteps to the one before, from the first of them to 0.
        t, earlier = times[position], torch.where(position > 0, times[position - 1], 0)
        low, high = self._guidance
        w = low + (high - low) * torch.rand(len(x0), generator=generator, device=generator.device)
        x = self._diffusion.add_noise(x0, self._diffusion.draw_noise(x0.shape, generator), t)

        output, _ = self._teacher(x, t, text, fps, 1.0 + w)
        with torch.no_grad():
            x_earlier = self._diffusion.ddim_step(*self._diffusion.estimates(output, x, t), t, earlier)
            model = average if self._target == "average" else student
            output = model(x_earlier, earlier, text, fps=fps, guidance=w).float()
            target = self._wanted(output, x_earlier, earlier, x, t)
        output = student(x, t, text, fps=fps, guidance=w).float()
        estimate = self._estimate(output, x, t)
        consistency = pseudo_huber(estimate, target)
        terms = {"consistency": consistency}
        total = consistency
        if self._reward is not None:
            image, video = _rewards(self._reward, estimate, batch, generator)
            total = total - self._reward.image_weight * image - self._reward.video_weight * video
            terms |= {"image_reward": image, "video_reward": video}
        return Losses(total, {name: term.detach() for name, term in terms.items()})

    def _estimate(self, output: Tensor, x: Tensor, t: Tensor) -> Tensor:
        """The student's x0; in phases nothing but a step's length tells them from a teacher's."""
        if self._diffusion.config.phases == 1:
            return self._diffusion.denoised(output, x, t)
        return self._diffusion.estimates(output, x, t)[0]

    def _wanted(self, output: Tensor, x_earlier: Tensor, earlier: Tensor, x: Tensor, t: Tensor) -> Tensor:
        """What the estimate at ``x`` and ``t`` should be, for the target's output one solver step earlier."""
        process = self._diffusion
        if process.config.phases == 1:
            return process.denoised(output, x_earlier, earlier)
        end = process.phase_end(t)
        arrived = process.ddim_step(*process.estimates(output, x_earlier, earlier), earlier, end)
        there = (earlier == end).view(-1, *[1] * (x.dim() - 1))
        return process.x0_leading_to(torch.where(there, x_earlier, arrived), x, t, end)


def pseudo_huber(estimate: Tensor, target: Tensor, c: float = HUBER_C) -> Tensor:
    """Mean of sqrt(d^2 + c^2) - c: squared near zero, absolute beyond c."""
    return ((estimate.float() - target.float()).square() + c * c).sqrt().mean() - c


def _rewards(
    reward: Reward, latents: Tensor, batch: Batch, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """The mean image and video scores of the estimate; only the frames that are scored are decoded."""
    frames = latents.shape[2]
    even = torch.linspace(0, frames - 1, min(reward.video_frames, frames)).round().long().to(latents.device)
    drawn = torch.randperm(frames, generator=generator, device=generator.device)[: reward.image_frames]
    needed, position = torch.unique(torch.cat([even, drawn]), return_inverse=True)
    pixels = reward.decode(latents[:, :, needed])
    ids, mask = batch["input_ids"], batch["attention_mask"]
    video = reward.scorer.video_score(pixels[:, position[: len(even)]], ids, mask).float().mean()
    images = pixels[:, position[len(even) :]]
    image = reward.scorer.image_score(images.flatten(0, 1), ids, mask)
    return image.float().mean(), video
