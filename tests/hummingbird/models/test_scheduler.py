"""The noise process: it inverts itself, steps as diffusers' schedulers do, and reads earlier configurations."""

from typing import Any

import pytest
import torch
from hummingbird.models.scheduler import VideoScheduler, current_config


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_an_exact_prediction_gives_x0_and_noise_back(prediction_type: str) -> None:
    diffusion, generator = VideoScheduler(prediction_type=prediction_type), torch.Generator().manual_seed(0)
    x0, noise = (torch.randn(3, 4, 2, 4, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    t = torch.tensor([0, 500, 999])
    output = diffusion.target(x0, noise, t)
    estimates = diffusion.estimates(output, diffusion.add_noise(x0, noise, t), t)
    torch.testing.assert_close(estimates, (x0, noise))


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


def test_other_predictions_and_samplings_are_refused() -> None:
    with pytest.raises(ValueError, match="epsilon, v_prediction, not 'sample'"):
        VideoScheduler(prediction_type="sample")
    with pytest.raises(ValueError, match="ddim, consistency, phased, not 'euler'"):
        VideoScheduler(sampling="euler")


def test_ddim_ends_where_it_should_and_refuses_impossible_steps() -> None:
    diffusion = VideoScheduler()
    assert diffusion.ddim_timesteps(50)[:2] == [999, 979]
    assert diffusion.ddim_timesteps(50)[-1] == 19
    assert len(set(diffusion.ddim_timesteps(10))) == 10
    for steps in (0, 51):
        with pytest.raises(ValueError, match="1 to 50"):
            diffusion.ddim_timesteps(steps)


@pytest.mark.parametrize("sampling", ["ddim", "consistency", "phased"])
def test_exact_predictions_lead_from_noise_to_the_video(sampling: str) -> None:
    scheduler = VideoScheduler(sampling=sampling, phases=4 if sampling == "phased" else 1, solver_steps=20)
    scheduler.set_timesteps(4)
    generators = [torch.Generator().manual_seed(seed) for seed in (0, 1)]
    x0 = torch.randn(2, 4, 2, 4, 4, generator=torch.Generator().manual_seed(2))
    noise = scheduler.draw_noises(x0.shape, generators)
    x = scheduler.add_noise(x0, noise, scheduler.timesteps[[0, 0]])
    assert scheduler.timesteps.tolist()[0] == 999
    for timestep in scheduler.timesteps:
        alpha = scheduler.alphas_cumprod[timestep]
        output = (x - alpha.sqrt() * x0) / (1 - alpha).sqrt()
        step = scheduler.step(output, timestep, scheduler.scale_model_input(x, timestep), generators)
        torch.testing.assert_close(step.pred_original_sample, x0, rtol=1e-3, atol=1e-3)
        x = step.prev_sample
    if sampling == "consistency":
        torch.testing.assert_close(x, x0, rtol=1e-3, atol=1e-3)
    else:  # the solver ends at the first timestep of the process, where a little noise is left
        alpha = scheduler.alphas_cumprod[0]
        torch.testing.assert_close(x, alpha.sqrt() * x0 + (1 - alpha).sqrt() * noise, rtol=1e-3, atol=1e-3)


def test_a_timestep_that_was_not_set_is_refused() -> None:
    scheduler = VideoScheduler()
    scheduler.set_timesteps(4)
    with pytest.raises(ValueError, match="timestep 500 is none of those that set_timesteps chose"):
        scheduler.step(torch.zeros(1, 4, 1, 2, 2), 500, torch.zeros(1, 4, 1, 2, 2))


def test_one_generator_serves_the_videos_in_order_and_each_its_own_alone() -> None:
    scheduler, shape = VideoScheduler(shared_noise=0.5), (2, 4, 3, 2, 2)
    both = scheduler.draw_noises(shape, torch.Generator().manual_seed(1))
    first = scheduler.draw_noises((1, *shape[1:]), torch.Generator().manual_seed(1))
    assert torch.equal(both[:1], first)
    assert not torch.equal(both[0], both[1])
    with pytest.raises(ValueError, match="2 videos want as many generators"):
        scheduler.draw_noises(shape, [torch.Generator()])


EARLIER = {
    "_class_name": "Diffusion",
    "timesteps": 1000,
    "steps": 4,
    "guidance": 2.0,
    "prediction": "velocity",
}


@pytest.mark.parametrize(
    ("phases", "embeds", "sampling", "scale"),
    [
        (1, False, "ddim", 2.0),
        (1, True, "consistency", 3.0),
        (4, True, "phased", 3.0),
        (4, None, "phased", 3.0),
    ],
)
def test_configurations_of_earlier_versions_mean_what_they_meant(
    phases: int, embeds: bool | None, sampling: str, scale: float
) -> None:
    config: dict[str, Any] = current_config({**EARLIER, "phases": phases}, embeds)
    own = VideoScheduler.from_config(config).config
    assert (own.sampling, own.guidance_scale, own.phases) == (sampling, scale, phases)
    assert (own.num_inference_steps, own.num_train_timesteps, own.prediction_type) == (
        4,
        1000,
        "v_prediction",
    )
    assert current_config(own) == dict(own)


def test_an_earlier_configuration_that_could_mean_either_is_refused() -> None:
    with pytest.raises(ValueError, match=r"of an earlier version .*load_pipeline"):
        VideoScheduler.from_config(EARLIER)
    with pytest.raises(TypeError, match="no setting guidance; it has"):
        VideoScheduler.from_config(VideoScheduler().config, guidance=3.0)
