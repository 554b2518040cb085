"""The noise process, and the two ways back: the DDIM solver and the few-step consistency sampler."""

from collections.abc import Sequence

import numpy as np
import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from torch import Tensor

SIGMA_DATA = 0.5
TIMESTEP_SCALING = 10.0


class Diffusion(SchedulerMixin, ConfigMixin):
    """Scaled-linear betas, epsilon prediction.

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
    ) -> None:
        # In float32, as the published schedulers: the few-step estimates at t = 999 magnify the difference.
        betas = torch.linspace(beta_start**0.5, beta_end**0.5, timesteps, dtype=torch.float32) ** 2
        self.alphas = torch.cumprod(1 - betas, dim=0)
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
        alpha, scale = self._at(self.alphas, t, x0), self._at(self.scales, t, x0)
        return alpha.sqrt() * scale * x0 + (1 - alpha).sqrt() * noise

    def predict_x0(self, eps: Tensor, x: Tensor, t: Tensor) -> Tensor:
        """The (scaled) x0 that a noise prediction implies."""
        alpha = self._at(self.alphas, t, x)
        return (x - (1 - alpha).sqrt() * eps) / alpha.sqrt()

    def ddim_step(self, x0: Tensor, eps: Tensor, t: Tensor, earlier: Tensor) -> Tensor:
        """One deterministic DDIM step from timestep ``t`` to ``earlier``, (B,) each.

        ``x0`` and ``eps`` are the model's estimates at ``t``.
        """
        alpha = self._at(self.alphas, earlier, x0)
        scale = self._at(self.scales, earlier, x0) / self._at(self.scales, t, x0)
        return alpha.sqrt() * scale * x0 + (1 - alpha).sqrt() * eps

    def ddim_timesteps(self, steps: int) -> list[int]:
        """Descending timesteps of the solver, ``steps`` of them evenly spaced, the first the noisiest."""
        return self._spaced(steps)

    def few_step_timesteps(self, steps: int) -> list[int]:
        """The consistency sampler's: of the solver's timesteps from the last, every (solver_steps // steps)th."""
        self._check(steps)
        skip = len(self.solver_timesteps) // steps
        return [int(t) for t in self.solver_timesteps.flip(0)[::skip][:steps]]

    def boundary(self, t: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """c_skip and c_out of consistency models: the identity at t = 0."""
        scaled = (t.to(like.device).float() * TIMESTEP_SCALING).view(-1, *[1] * (like.dim() - 1))
        norm = scaled.square() + SIGMA_DATA**2
        return SIGMA_DATA**2 / norm, scaled / norm.sqrt()

    def denoised(self, eps: Tensor, x: Tensor, t: Tensor) -> Tensor:
        """A consistency model's estimate of x0 at ``t`` (B,)."""
        skip, out = self.boundary(t, x)
        return skip * x + out * self.predict_x0(eps, x, t)

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
