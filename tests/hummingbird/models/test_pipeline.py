"""The pipeline: videos depend on prompt and seed alone, decoders are differentiable, folders are checked."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hummingbird.core.errors import InputError
from hummingbird.models.pipeline import TextToVideoPipeline, load_pipeline
from hummingbird.models.scheduler import VideoScheduler


@pytest.fixture(scope="module", params=["teacher", "student"])
def pipeline(request: pytest.FixtureRequest, tiny_pipelines: dict[str, Path]) -> TextToVideoPipeline:
    loaded = load_pipeline(tiny_pipelines[request.param])
    torch.manual_seed(0)
    for parameter in loaded.unet.parameters():  # untrained branches end in zeros
        parameter.data += 0.05 * torch.randn_like(parameter)
    return loaded


def test_a_video_depends_on_its_prompt_and_seed_not_on_its_batch(pipeline: TextToVideoPipeline) -> None:
    pair = pipeline(["red", "blue"], [1, 2], steps=2, num_frames=4)
    assert pair.shape == (2, 4, 64, 64, 3)
    assert pair.dtype == torch.uint8
    alone = pipeline(["blue"], [2], steps=2, num_frames=4)
    assert (pair[1].int() - alone[0].int()).abs().max() <= 1
    assert not torch.equal(pipeline(["blue"], [3], steps=2, num_frames=4), alone)


def test_progress_is_told_after_every_step(pipeline: TextToVideoPipeline) -> None:
    told: list[int] = []
    pipeline(["red"], [1], steps=3, num_frames=4, on_step=told.append)
    assert told == [1, 2, 3]


def test_frames_are_encoded_as_scaled_latents_one_a_frame(pipeline: TextToVideoPipeline) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (3, 64, 64, 3), dtype=np.uint8)
    latents = pipeline.encode_frames(frames)
    assert latents.shape == (3, 4, 8, 8)
    torch.testing.assert_close(latents[1:2], pipeline.encode_frames(frames[1:2]), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("decoder", ["full", "small"])
def test_gradients_flow_through_both_decoders(pipeline: TextToVideoPipeline, decoder: str) -> None:
    latents = torch.randn(1, 4, 2, 8, 8, requires_grad=True)
    pixels = pipeline.decode(latents, decoder)
    assert pixels.shape == (1, 2, 3, 64, 64)
    pixels.sum().backward()
    assert latents.grad is not None
    assert latents.grad.abs().sum() > 0


def test_wrong_calls_are_refused(pipeline: TextToVideoPipeline) -> None:
    with pytest.raises(ValueError, match="one seed a prompt"):
        pipeline(["red"], [1, 2])
    with pytest.raises(ValueError, match="full or small"):
        pipeline.decode(torch.zeros(1, 4, 1, 8, 8), "large")
    with pytest.raises(ValueError, match="1 to 50"):
        pipeline(["red"], [1], steps=51)


def test_guidance_one_makes_one_pass_and_the_same_video(tiny_pipelines: dict[str, Path]) -> None:
    teacher = load_pipeline(tiny_pipelines["teacher"])
    batches: list[int] = []
    teacher.unet.register_forward_pre_hook(lambda _, inputs: batches.append(len(inputs[0])))
    one, nearly = (teacher(["red"], [1], steps=2, guidance=g, num_frames=4) for g in (1.0, 1.0 + 1e-6))
    assert batches == [1, 1, 2, 2]
    assert (one.int() - nearly.int()).abs().max() <= 1


def test_a_student_of_phases_takes_its_steps_without_fresh_noise(tiny_pipelines: dict[str, Path]) -> None:
    student = load_pipeline(tiny_pipelines["student"])
    text = student.encode_prompts(["red"])
    shape = (student.unet.config.in_channels, 4, *student.latent_shape())

    def draws(phases: int) -> bool:
        student.scheduler = VideoScheduler.from_config(student.scheduler.config, phases=phases)
        generator = torch.Generator().manual_seed(1)
        student.sample(text, [generator], steps=2, num_frames=4)
        once = torch.Generator().manual_seed(1)
        student.scheduler.draw_noise(shape, once)
        return not torch.equal(generator.get_state(), once.get_state())

    assert draws(phases=1)
    assert not draws(phases=2)


def test_a_folder_without_a_part_is_named(tiny_pipelines: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no pipeline in"):
        load_pipeline(tmp_path)
    load_pipeline(tiny_pipelines["teacher"]).unet.save_pretrained(tmp_path / "model" / "unet")
    with pytest.raises(InputError, match="lacks vae"):
        load_pipeline(tmp_path / "model")


def test_height_and_width_differ_where_asked_for(pipeline: TextToVideoPipeline) -> None:
    assert pipeline(["red"], [1], steps=1, num_frames=4, height=32, width=96).shape == (1, 4, 32, 96, 3)
    with pytest.raises(ValueError, match="width=40: this model makes videos of a multiple of 16 pixels"):
        pipeline(["red"], [1], steps=1, num_frames=4, width=40)


def test_a_pipeline_keeps_its_own_height_and_width(pipeline: TextToVideoPipeline, tmp_path: Path) -> None:
    square = pipeline.scheduler
    pipeline.scheduler = VideoScheduler.from_config(square.config, height=32, width=48)
    pipeline.save_pretrained(tmp_path / "wide")
    pipeline.scheduler = square
    wide = load_pipeline(tmp_path / "wide")
    assert wide.latent_shape() == (4, 6)
    assert wide(["red"], [1], steps=1, num_frames=4).shape == (1, 4, 32, 48, 3)
    assert pipeline.latent_shape() == (8, 8)
