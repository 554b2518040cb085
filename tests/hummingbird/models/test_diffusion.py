"""The noise process against the published solver and few-step scheduler."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hummingbird.models.diffusion import Diffusion

PARITY = Path(__file__).parents[2] / "parity"


def load(case: str) -> dict[str, torch.Tensor]:
    with np.load(PARITY / f"{case}.npz") as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays}


def relative(made: torch.Tensor, expected: torch.Tensor) -> float:
    return float((made - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize(("case", "scale"), [("ddim_solver", 1.0), ("ddim_solver_scaled", 0.7)])
def test_a_solver_step_equals_the_published_one(case: str, scale: float) -> None:
    arrays, diffusion = load(case), Diffusion(x0_scale=scale)
    index = arrays["in_index"]
    assert diffusion.solver_timesteps.tolist() == arrays["out_ddim_timesteps"].tolist()
    t = diffusion.solver_timesteps[index]
    earlier = torch.where(index > 0, diffusion.solver_timesteps[(index - 1).clamp_min(0)], 0)
    made = diffusion.ddim_step(arrays["in_x0"].double(), arrays["in_noise"].double(), t, earlier)
    assert relative(made, arrays["out_x_prev"]) < 1e-6


def test_few_step_estimates_equal_the_published_scheduler() -> None:
    arrays, diffusion = load("t2v_turbo_scheduler"), Diffusion()
    for steps in (1, 2, 4, 8):
        assert diffusion.few_step_timesteps(steps) == arrays[f"out_timesteps_{steps}"].tolist()
    x = arrays["in_latents"]
    for index, time in enumerate(diffusion.few_step_timesteps(4)):
        x = diffusion.denoised(arrays[f"in_model_output_{index}"], x, torch.tensor([time]))
        # The published scheduler keeps its betas in float32.
        assert relative(x, arrays[f"out_denoised_{index}"]) < 3e-6


def test_noise_that_is_predicted_exactly_gives_x0_back() -> None:
    diffusion, generator = Diffusion(), torch.Generator().manual_seed(0)
    x0, noise = (torch.randn(3, 4, 2, 4, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    t = torch.tensor([0, 500, 999])
    torch.testing.assert_close(diffusion.predict_x0(noise, diffusion.add_noise(x0, noise, t), t), x0)


def test_ddim_ends_where_it_should_and_refuses_impossible_steps() -> None:
    diffusion = Diffusion()
    assert diffusion.ddim_timesteps(50)[:2] == [999, 979]
    assert diffusion.ddim_timesteps(50)[-1] == 19
    assert len(set(diffusion.ddim_timesteps(10))) == 10
    for steps in (0, 51):
        with pytest.raises(ValueError, match="1 to 50"):
            diffusion.ddim_timesteps(steps)
