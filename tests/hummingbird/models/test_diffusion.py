"""The noise process: it inverts itself, and refuses steps that it does not have."""

import pytest
import torch
from hummingbird.models.diffusion import Diffusion


@pytest.mark.parametrize("prediction", ["epsilon", "velocity"])
def test_an_exact_prediction_gives_x0_and_noise_back(prediction: str) -> None:
    diffusion, generator = Diffusion(prediction=prediction), torch.Generator().manual_seed(0)
    x0, noise = (torch.randn(3, 4, 2, 4, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    t = torch.tensor([0, 500, 999])
    output = diffusion.target(x0, noise, t)
    found = diffusion.estimates(output, diffusion.add_noise(x0, noise, t), t)
    torch.testing.assert_close(found, (x0, noise))


def test_other_predictions_are_refused() -> None:
    with pytest.raises(ValueError, match="epsilon or velocity, not 'sample'"):
        Diffusion(prediction="sample")


def test_ddim_ends_where_it_should_and_refuses_impossible_steps() -> None:
    diffusion = Diffusion()
    assert diffusion.ddim_timesteps(50)[:2] == [999, 979]
    assert diffusion.ddim_timesteps(50)[-1] == 19
    assert len(set(diffusion.ddim_timesteps(10))) == 10
    for steps in (0, 51):
        with pytest.raises(ValueError, match="1 to 50"):
            diffusion.ddim_timesteps(steps)
