"""The noise process, and the ways back: the DDIM solver and the few-step consistency samplers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from diffusers.utils import BaseOutput
from torch import Tensor

SIGMA_DATA = 0.5
TIMESTEP_SCALING = 10.0
SAMPLING = ("ddim", "consistency", "phased")
PREDICTION_TYPES = ("epsilon", "v_prediction")
RENAMED = {
    "timesteps": "num_train_timesteps",
    "steps": "num_inference_steps",
    "guidance": "guidance_scale",
    "prediction": "prediction_type",
}
"""Keys of saved configurations of earlier versions, and what they are now."""


@dataclass
class VideoSchedulerOutput(BaseOutput):
    """Of one step: ``prev_sample`` and ``pred_original_sample``, latents (B, C, T, h, w) like the sample's."""

    prev_sample: Tensor
    pred_original_sample: Tensor


class VideoScheduler(SchedulerMixin, ConfigMixin):
    """Scaled-linear betas; the model predicts the noise or the velocity.

    Called like diffusers' schedulers: `set_timesteps`, then `step` for each of `timesteps`.

    Args:
        num_train_timesteps: length of the process.
        beta_start, beta_end: betas are squares of evenly spaced values between these values' roots.
        solver_steps: timesteps of the full sampler: 19, 39, ..., 999 for 50 of 1000.
        x0_scale: VideoCrafter2's rescale of x0, s(t), falls from 1 to this value over the first
            ``x0_scale_steps`` timesteps; 1 for none. Off in few-step sampling.
        num_inference_steps, guidance_scale: how the pipeline's model is sampled where a call does not say. The scale
            is s of uncond + s (cond - uncond), also for models that embed it.
        height, width: pixels of the pipeline's videos where a call does not say; none: square ones, as large as the
            autoencoder's images.
        shared_noise: share of the noise's power that all frames of a clip have in common (mixed noise,
            arXiv 2305.10474); 0, as in VideoCrafter2: frames have nothing in common.
        prediction_type: ``epsilon``, the noise, as VideoCrafter2; or ``v_prediction``, the velocity sqrt(alpha) noise -
            sqrt(1 - alpha) x0 (arXiv 2202.00512), which where there is little signal is the signal itself and
            not a small difference from the input.
        sampling: how the model is sampled. ``ddim``: the DDIM solver. ``consistency``: few steps, each of which
            estimates the trajectory's end and adds fresh noise to it (arXiv 2310.04378). ``phased``: few steps,
            each of which leads to the end of its phase, without fresh noise (arXiv 2405.18407).
        phases: parts of the trajectory that a phased model was trained on; 1 for all others.

    Raises:
        ValueError: another ``prediction_type`` or ``sampling``, or more phases than solver steps.
    """

    order = 1
    init_noise_sigma = 1.0

    @register_to_config
    def __init__(
        self,
        num_train_timesteps: int = 1000,
        beta_start: float = 0.00085,
        beta_end: float = 0.012,
        solver_steps: int = 50,
        x0_scale: float = 1.0,
        x0_scale_steps: int = 400,
        num_inference_steps: int = 50,
        guidance_scale: float = 7.5,
        shared_noise: float = 0.0,
        height: int | None = None,
        width: int | None = None,
        prediction_type: str = "epsilon",
        sampling: str = "ddim",
        phases: int = 1,
    ) -> None:
        for name, value, known in (
            ("prediction_type", prediction_type, PREDICTION_TYPES),
            ("sampling", sampling, SAMPLING),
        ):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, not {value!r}")
        if not 1 <= phases <= solver_steps:
            raise ValueError(f"phases must be 1 to the {solver_steps} solver steps, not {phases}")
        # In float32, as the published schedulers: the few-step estimates at t = 999 magnify the difference.
        betas = torch.linspace(beta_start**0.5, beta_end**0.5, num_train_timesteps, dtype=torch.float32) ** 2
        self.alphas_cumprod = torch.cumprod(1 - betas, dim=0)
        ramp = np.linspace(1.0, x0_scale, x0_scale_steps)
        scale = np.concatenate([ramp, np.full(num_train_timesteps, x0_scale)])[:num_train_timesteps]
        self.scales = torch.from_numpy(scale)
        self.solver_timesteps = torch.arange(1, solver_steps + 1) * (num_train_timesteps // solver_steps) - 1
        self.set_timesteps(min(num_inference_steps, solver_steps))

    @classmethod
    def from_config(cls, config: Mapping[str, Any], return_unused_kwargs: bool = False, **kwargs: Any) -> Any:
        """A scheduler of a configuration, with the changes that the keywords name.

        Raises:
            TypeError: a keyword is no setting of the scheduler.
            ValueError: see `current_config`.
        """
        known = cls._get_init_keys(cls)
        if unknown := sorted(set(kwargs) - known) if not return_unused_kwargs else []:
            raise TypeError(
                f"{cls.__name__} has no setting {', '.join(unknown)}; it has {', '.join(sorted(known))}"
            )
        return super().from_config(current_config(config), return_unused_kwargs, **kwargs)

    @property
    def few_steps(self) -> bool:
        """Whether the model was trained to be sampled in few steps."""
        return bool(self.config.sampling != "ddim")

    def __len__(self) -> int:
        return int(self.config.num_train_timesteps)

    def set_timesteps(self, num_inference_steps: int, device: str | torch.device | None = None) -> None:
        """Chooses the ``timesteps`` at which `step` goes on, the noisiest first.

        Raises:
            ValueError: fewer than one step, or more than the solver has.
        """
        choose = self.few_step_timesteps if self.few_steps else self.ddim_timesteps
        self.num_inference_steps, self._times = num_inference_steps, choose(num_inference_steps)
        self.timesteps = torch.tensor(self._times, device=device)

    def scale_model_input(self, sample: Tensor, timestep: int | Tensor | None = None) -> Tensor:
        """The sample as it is; other schedulers scale what the model sees."""
        return sample

    def step(
        self,
        model_output: Tensor,
        timestep: int | Tensor,
        sample: Tensor,
        generator: torch.Generator | Sequence[torch.Generator] | None = None,
        return_dict: bool = True,
    ) -> VideoSchedulerOutput | tuple[Tensor, Tensor]:
        """One step from ``timestep`` to the next of ``timesteps``, or from the last to the end.

        Args:
            model_output: of the guided model, like ``sample``.
            timestep: one of ``timesteps``.
            sample: latents (B, C, T, h, w).
            generator: where sampling adds fresh noise: one for all videos, which it serves in order, or one a video.
            return_dict: whether to return an output with names, or a tuple.

        Raises:
            ValueError: the timestep is none of those set.
        """
        time = int(timestep)
        if time not in self._times:
            raise ValueError(f"timestep {time} is none of those that set_timesteps chose: {self._times}")
        position = self._times.index(time) + 1
        t = torch.full((len(sample),), time, device=sample.device)
        last = position == len(self._times)
        earlier = torch.full_like(t, 0 if last else self._times[position])
        if self.config.sampling == "consistency":
            x0 = self.denoised(model_output, sample, t)
            noisy = (
                x0 if last else self.add_noise(x0, self.draw_noises(sample.shape, generator).to(x0), earlier)
            )
        else:
            x0, noise = self.estimates(model_output, sample, t)
            noisy = self.ddim_step(x0, noise, t, earlier)
        return VideoSchedulerOutput(noisy, x0) if return_dict else (noisy, x0)

    def draw_noises(
        self, shape: Sequence[int], generator: torch.Generator | Sequence[torch.Generator] | None = None
    ) -> Tensor:
        """Noise (B, C, T, h, w), a video at a time: from a generator of its own, or from one for all, in order.

        Raises:
            ValueError: not as many generators as videos.
        """
        count, *video_shape = shape
        if generator is None or isinstance(generator, torch.Generator):
            return torch.stack([self.draw_noise(video_shape, generator) for _ in range(count)])
        if len(generator) != count:
            raise ValueError(f"{count} videos want as many generators, or one for all, not {len(generator)}")
        return torch.stack([self.draw_noise(video_shape, video_generator) for video_generator in generator])

    def draw_noise(self, shape: Sequence[int], generator: torch.Generator | None = None) -> Tensor:
        """Noise (..., C, T, h, w) of unit variance, on the generator's device; none: torch's own, on the CPU."""
        device = "cpu" if generator is None else generator.device
        own = torch.randn(tuple(shape), generator=generator, device=device)
        share = self.config.shared_noise
        if not share:
            return own
        common = torch.randn((*shape[:-3], 1, *shape[-2:]), generator=generator, device=device)
        return common * share**0.5 + own * (1 - share) ** 0.5

    def add_noise(self, original_samples: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """sqrt(alpha) s(t) x0 + sqrt(1 - alpha) noise of samples x0 at timesteps t (B,)."""
        alpha = self._at(self.alphas_cumprod, timesteps, original_samples)
        scale = self._at(self.scales, timesteps, original_samples)
        return alpha.sqrt() * scale * original_samples + (1 - alpha).sqrt() * noise

    def target(self, x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """What the model should predict for ``add_noise(x0, noise, t)``."""
        if self.config.prediction_type == "epsilon":
            return noise
        alpha, scale = self._at(self.alphas_cumprod, t, x0), self._at(self.scales, t, x0)
        return alpha.sqrt() * noise - (1 - alpha).sqrt() * scale * x0

    def estimates(self, output: Tensor, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """The (scaled) x0 and the noise that the model's output at ``x`` implies."""
        alpha = self._at(self.alphas_cumprod, t, x)
        if self.config.prediction_type == "epsilon":
            return (x - (1 - alpha).sqrt() * output) / alpha.sqrt(), output
        x0 = alpha.sqrt() * x - (1 - alpha).sqrt() * output
        return x0, alpha.sqrt() * output + (1 - alpha).sqrt() * x

    def ddim_step(self, x0: Tensor, eps: Tensor, t: Tensor, earlier: Tensor) -> Tensor:
        """One deterministic DDIM step from timestep ``t`` to ``earlier``, (B,) each.

        ``x0`` and ``eps`` are the model's estimates at ``t``.
        """
        alpha = self._at(self.alphas_cumprod, earlier, x0)
        scale = self._at(self.scales, earlier, x0) / self._at(self.scales, t, x0)
        return alpha.sqrt() * scale * x0 + (1 - alpha).sqrt() * eps

    def x0_leading_to(self, end: Tensor, x: Tensor, t: Tensor, earlier: Tensor) -> Tensor:
        """The estimate of x0 with which `ddim_step` goes from ``x`` at ``t`` to ``end`` at ``earlier``."""
        alpha, alpha_end = self._at(self.alphas_cumprod, t, x), self._at(self.alphas_cumprod, earlier, x)
        scale = self._at(self.scales, earlier, x) / self._at(self.scales, t, x)
        noise = ((1 - alpha_end) / (1 - alpha)).sqrt()
        return (end - noise * x) / (alpha_end.sqrt() * scale - noise * alpha.sqrt())

    @property
    def phase_starts(self) -> list[int]:
        """Descending timesteps at which the phases start: where sampling in as many steps asks the model."""
        return self.few_step_timesteps(self.config.phases)

    def phase_end(self, t: Tensor) -> Tensor:
        """Where the phase of each of the timesteps (B,) ends: the next of the phases' timesteps below it, or 0."""
        ends = torch.tensor([0, *reversed(self.phase_starts)], device=t.device)
        return ends[torch.searchsorted(ends, t) - 1]

    def ddim_timesteps(self, steps: int) -> list[int]:
        """Descending timesteps of the solver, ``steps`` of them evenly spaced, the first the noisiest."""
        self._check(steps)
        index = torch.linspace(len(self.solver_timesteps) - 1, 0, steps).round().long()
        return [int(t) for t in self.solver_timesteps[index]]

    def few_step_timesteps(self, steps: int) -> list[int]:
        """The consistency samplers': of the solver's timesteps from the last, every (solver_steps // steps)th."""
        self._check(steps)
        skip = len(self.solver_timesteps) // steps
        return [int(t) for t in self.solver_timesteps.flip(0)[::skip][:steps]]

    def boundary(self, t: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """c_skip and c_out of consistency models: the identity at t = 0."""
        scaled = (t.to(like.device).float() * TIMESTEP_SCALING).view(-1, *[1] * (like.dim() - 1))
        norm = scaled.square() + SIGMA_DATA**2
        return SIGMA_DATA**2 / norm, scaled / norm.sqrt()

    def denoised(self, output: Tensor, x: Tensor, t: Tensor) -> Tensor:
        """A consistency model's estimate of x0 at ``t`` (B,)."""
        skip, out = self.boundary(t, x)
        return skip * x + out * self.estimates(output, x, t)[0]

    def _check(self, steps: int) -> None:
        if not 1 <= steps <= len(self.solver_timesteps):
            raise ValueError(f"steps must be 1 to {len(self.solver_timesteps)}, not {steps}")

    @staticmethod
    def _at(values: Tensor, t: Tensor, like: Tensor) -> Tensor:
        """Look up ``values`` at ``t``, shaped to broadcast against ``like``; in at least float32."""
        dtype = like.dtype if like.dtype in (torch.float32, torch.float64) else torch.float32
        return values.to(like.device)[t.to(like.device)].to(dtype).view(-1, *[1] * (like.dim() - 1))


def current_config(config: Mapping[str, Any], embeds_guidance: bool | None = None) -> dict[str, Any]:
    """A saved configuration in today's words: as it is, or that of an earlier version brought to them.

    Earlier versions did not say how a model is sampled, which followed from its U-Net, and few-step students had the
    w of cond + w (cond - uncond) for their guidance, which is s - 1.

    Args:
        config: as read from JSON.
        embeds_guidance: whether the U-Net embeds the guidance scale: such were few-step students. None: unknown.

    Raises:
        ValueError: the configuration is of an earlier version and what it means depends on a U-Net that is unknown.
    """
    upgraded = dict(config)
    earlier = set(RENAMED) & set(upgraded)
    if not earlier and upgraded.get("_class_name") != "Diffusion":
        return upgraded
    phases = int(upgraded.get("phases", 1))
    if embeds_guidance is None and phases == 1:
        raise ValueError(
            "this scheduler configuration is of an earlier version and does not say how the model is sampled: "
            "hummingbird.load_pipeline loads its folder, and save_pretrained then writes a current one"
        )
    for key in earlier:
        upgraded[RENAMED[key]] = upgraded.pop(key)
    if upgraded.get("prediction_type") == "velocity":
        upgraded["prediction_type"] = "v_prediction"
    upgraded["sampling"] = "ddim"
    if embeds_guidance or phases > 1:
        upgraded["sampling"] = "phased" if phases > 1 else "consistency"
        upgraded["guidance_scale"] = upgraded.get("guidance_scale", 7.5) + 1
    return {**upgraded, "_class_name": "VideoScheduler"}
