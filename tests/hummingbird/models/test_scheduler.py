"""The noise process: it inverts itself, and refuses steps that it does not have."""

import pytest
import torch
from hummingbird.models.scheduler import VideoScheduler


@pytest.mark.parametrize("prediction", ["epsilon", "velocity"])
def test_an_exact_prediction_gives_x0_and_noise_back(prediction: str) -> None:
    diffusion, generator = VideoScheduler(prediction=prediction), torch.Generator().manual_seed(0)
    x0, noise = (torch.randn(3, 4, 2, 4, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    t = torch.tensor([0, 500, 999])
    output = diffusion.target(x0, noise, t)
    found = diffusion.estimates(output, diffusion.add_noise(x0, noise, t), t)
    torch.testing.assert_close(found, (x0, noise))


def test_an_estimate_that_leads_somewhere_is_found_again() -> None:
    diffusion, generator = VideoScheduler(), torch.Generator().manual_seed(0)
    x0, eps = (torch.randn(3, 4, 2, 4, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    t, earlier = torch.tensor([999, 499, 19]), torch.tensor([749, 0, 0])
    x = diffusion.ddim_step(x0, eps, t, t)
    end = diffusion.ddim_step(x0, eps, t, earlier)
    torch.testing.assert_close(diffusion.x0_leading_to(end, x, t, earlier), x0)


def test_phases_end_at_the_few_steps_timesteps() -> None:
    t = torch.tensor([999, 979, 779, 759, 20, 1])
    assert VideoScheduler(phases=4).few_step_timesteps(4) == [999, 759, 519, 279]
    assert VideoScheduler(phases=4).phase_end(t).tolist() == [759, 759, 759, 519, 0, 0]
    assert VideoScheduler().phase_end(t).tolist() == [0] * 6
    for phases in (0, 51):
        with pytest.raises(ValueError, match="phases must be 1 to the 50"):
            VideoScheduler(phases=phases)


def test_other_predictions_are_refused() -> None:
    with pytest.raises(ValueError, match="epsilon or velocity, not 'sample'"):
        VideoScheduler(prediction="sample")


def test_ddim_ends_where_it_should_and_refuses_impossible_steps() -> None:
    diffusion = VideoScheduler()
    assert diffusion.ddim_timesteps(50)[:2] == [999, 979]
    assert diffusion.ddim_timesteps(50)[-1] == 19
    assert len(set(diffusion.ddim_timesteps(10))) == 10
    for steps in (0, 51):
        with pytest.raises(ValueError, match="1 to 50"):
            diffusion.ddim_timesteps(steps)
