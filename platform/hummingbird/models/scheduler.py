"""The noise process, and the ways back: the DDIM solver and the few-step consistency samplers."""

from collections.abc import Sequence

import numpy as np
import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from torch import Tensor

SIGMA_DATA = 0.5
TIMESTEP_SCALING = 10.0


class VideoScheduler(SchedulerMixin, ConfigMixin):
    """Scaled-linear betas; the model predicts the noise or the velocity.

    Args:
        timesteps: length of the process.
        beta_start, beta_end: betas are squares of evenly spaced values between these values' roots.
        solver_steps: timesteps of the full sampler: 19, 39, ..., 999 for 50 of 1000.
        x0_scale: VideoCrafter2's rescale of x0, s(t), falls from 1 to this value over the first
            ``x0_scale_steps`` timesteps; 1 for none. Off in few-step sampling.
        steps, guidance: how the pipeline's model is sampled where a call does not say.
        height, width: pixels of the pipeline's videos where a call does not say; none: square ones, as large as the
            autoencoder's images.
        shared_noise: share of the noise's power that all frames of a clip have in common (mixed noise,
            arXiv 2305.10474); 0, as in VideoCrafter2: frames have nothing in common.
        prediction: ``epsilon``, the noise, as VideoCrafter2; or ``velocity``, sqrt(alpha) noise -
            sqrt(1 - alpha) x0 (arXiv 2202.00512), which where there is little signal is the signal itself and
            not a small difference from the input.
        phases: parts of the trajectory that a few-step model was trained on. 1, a consistency model: every estimate
            is of the trajectory's end, and sampling adds fresh noise to it. More, a phased consistency model (arXiv
            2405.18407): a step leads to the end of its phase, without fresh noise.

    Raises:
        ValueError: another ``prediction``, or more phases than solver steps.
    """

    @register_to_config
    def __init__(
        self,
        timesteps: int = 1000,
        beta_start: float = 0.00085,
        beta_end: float = 0.012,
        solver_steps: int = 50,
        x0_scale: float = 1.0,
        x0_scale_steps: int = 400,
        steps: int = 50,
        guidance: float = 7.5,
        shared_noise: float = 0.0,
        height: int | None = None,
        width: int | None = None,
        prediction: str = "epsilon",
        phases: int = 1,
    ) -> None:
        if prediction not in ("epsilon", "velocity"):
            raise ValueError(f"prediction must be epsilon or velocity, not {prediction!r}")
        if not 1 <= phases <= solver_steps:
            raise ValueError(f"phases must be 1 to the {solver_steps} solver steps, not {phases}")
        # In float32, as the published schedulers: the few-step estimates at t = 999 magnify the difference.
        betas = torch.linspace(beta_start**0.5, beta_end**0.5, timesteps, dtype=torch.float32) ** 2
        self.alphas_cumprod = torch.cumprod(1 - betas, dim=0)
        ramp = np.linspace(1.0, x0_scale, x0_scale_steps)
        scale = np.concatenate([ramp, np.full(timesteps, x0_scale)])[:timesteps]
        self.scales = torch.from_numpy(scale)
        self.solver_timesteps = torch.arange(1, solver_steps + 1) * (timesteps // solver_steps) - 1

    def draw_noise(self, shape: Sequence[int], generator: torch.Generator) -> Tensor:
        """Noise (..., C, T, h, w) of unit variance, on the generator's device."""
        own = torch.randn(tuple(shape), generator=generator, device=generator.device)
        share = self.config.shared_noise
        if not share:
            return own
        common = torch.randn((*shape[:-3], 1, *shape[-2:]), generator=generator, device=generator.device)
        return common * share**0.5 + own * (1 - share) ** 0.5

    def add_noise(self, x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """sqrt(alpha) s(t) x0 + sqrt(1 - alpha) noise; t: (B,)."""
        alpha, scale = self._at(self.alphas_cumprod, t, x0), self._at(self.scales, t, x0)
        return alpha.sqrt() * scale * x0 + (1 - alpha).sqrt() * noise

    def target(self, x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """What the model should predict for ``add_noise(x0, noise, t)``."""
        if self.config.prediction == "epsilon":
            return noise
        alpha, scale = self._at(self.alphas_cumprod, t, x0), self._at(self.scales, t, x0)
        return alpha.sqrt() * noise - (1 - alpha).sqrt() * scale * x0

    def estimates(self, output: Tensor, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """The (scaled) x0 and the noise that the model's output at ``x`` implies."""
        alpha = self._at(self.alphas_cumprod, t, x)
        if self.config.prediction == "epsilon":
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
        return self._spaced(steps)

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

    def _spaced(self, steps: int) -> list[int]:
        self._check(steps)
        index = torch.linspace(len(self.solver_timesteps) - 1, 0, steps).round().long()
        return [int(t) for t in self.solver_timesteps[index]]

    def _check(self, steps: int) -> None:
        if not 1 <= steps <= len(self.solver_timesteps):
            raise ValueError(f"steps must be 1 to {len(self.solver_timesteps)}, not {steps}")

    @staticmethod
    def _at(values: Tensor, t: Tensor, like: Tensor) -> Tensor:
        """Look up ``values`` at ``t``, shaped to broadcast against ``like``; in at least float32."""
        dtype = like.dtype if like.dtype in (torch.float32, torch.float64) else torch.float32
        return values.to(like.device)[t.to(like.device)].to(dtype).view(-1, *[1] * (like.dim() - 1))
