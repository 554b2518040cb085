"""The pipeline: called as diffusers' are; videos depend on prompt and generator alone; folders are checked."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hummingbird.core.errors import InputError
from hummingbird.models.pipeline import TextToVideoPipeline, load_pipeline
from hummingbird.models.scheduler import VideoScheduler
from hummingbird.models.video import seeded_generators, to_uint8


@pytest.fixture(scope="module", params=["teacher", "student"])
def pipeline(request: pytest.FixtureRequest, tiny_pipelines: dict[str, Path]) -> TextToVideoPipeline:
    loaded = load_pipeline(tiny_pipelines[request.param])
    loaded.set_progress_bar_config(disable=True)
    torch.manual_seed(0)
    for parameter in loaded.unet.parameters():  # untrained branches end in zeros
        parameter.data += 0.05 * torch.randn_like(parameter)
    return loaded


def videos(pipeline: TextToVideoPipeline, prompt: Any, seeds: list[int], **options: Any) -> Any:
    options = {"num_inference_steps": 2, "num_frames": 4, **options}
    return pipeline(prompt, generator=seeded_generators(seeds), **options).frames


def test_a_video_depends_on_its_prompt_and_generator_not_on_its_batch(pipeline: TextToVideoPipeline) -> None:
    pair = videos(pipeline, ["red", "blue"], [1, 2])
    assert pair.shape == (2, 4, 64, 64, 3)
    assert pair.dtype == np.float32
    alone = videos(pipeline, "blue", [2])
    np.testing.assert_allclose(pair[1], alone[0], atol=1 / 255)
    assert not np.array_equal(videos(pipeline, "blue", [3]), alone)


def test_one_generator_serves_several_prompts_in_order(pipeline: TextToVideoPipeline) -> None:
    options: dict[str, Any] = {"num_inference_steps": 1, "num_frames": 4, "output_type": "latent"}
    pair = pipeline(["red", "blue"], generator=torch.Generator().manual_seed(1), **options).frames
    first = pipeline("red", generator=torch.Generator().manual_seed(1), **options).frames
    torch.testing.assert_close(pair[:1], first, rtol=1e-4, atol=1e-4)


def test_every_output_type_is_the_same_video(pipeline: TextToVideoPipeline) -> None:
    arrays = videos(pipeline, "red", [1])
    tensors = videos(pipeline, "red", [1], output_type="pt")
    latents = videos(pipeline, "red", [1], output_type="latent")
    (images,) = videos(pipeline, "red", [1], output_type="pil")
    small = "small" if pipeline.few_steps else "full"
    assert torch.equal(pipeline.decode(latents, small), tensors)
    assert np.array_equal(tensors.permute(0, 1, 3, 4, 2).numpy(), arrays)
    assert np.array_equal(np.stack([np.asarray(image) for image in images]), to_uint8(tensors)[0])
    (same,) = pipeline(
        "red", generator=seeded_generators([1]), num_inference_steps=2, num_frames=4, return_dict=False
    )
    assert np.array_equal(same, arrays)


def test_latents_take_the_place_of_the_first_noise(pipeline: TextToVideoPipeline) -> None:
    shape = (1, 4, 4, 8, 8)
    noise = pipeline.scheduler.draw_noises(shape, seeded_generators([1]))
    options: dict[str, Any] = {"num_inference_steps": 1}
    assert np.array_equal(
        videos(pipeline, "red", [2], latents=noise, **options), videos(pipeline, "red", [1], **options)
    )
    with pytest.raises(ValueError, match=r"latents must be of shape \(1, 4, 4, 8, 8\)"):
        videos(pipeline, "red", [1], latents=noise[:, :, :2])


def test_a_callback_sees_every_step_and_may_change_the_latents(pipeline: TextToVideoPipeline) -> None:
    seen: list[tuple[int, int]] = []

    def zero(own: TextToVideoPipeline, step: int, timestep: int, tensors: dict[str, Any]) -> dict[str, Any]:
        assert own is pipeline
        assert set(tensors) == {"latents", "prompt_embeds"}
        seen.append((step, timestep))
        return {"latents": torch.zeros_like(tensors["latents"])}

    names = ("latents", "prompt_embeds")
    changed = videos(
        pipeline, "red", [1], num_inference_steps=3, output_type="latent",
        callback_on_step_end=zero, callback_on_step_end_tensor_inputs=names,
    )  # fmt: skip
    assert seen == list(enumerate(pipeline.scheduler.timesteps.tolist()))
    assert not changed.any()
    with pytest.raises(ValueError, match="may name latents, prompt_embeds, not noise"):
        videos(pipeline, "red", [1], callback_on_step_end_tensor_inputs=("noise",))


def test_a_student_embeds_one_less_than_the_guidance_scale(tiny_pipelines: dict[str, Path]) -> None:
    student = load_pipeline(tiny_pipelines["student"])
    embedded: list[float] = []
    student.unet.register_forward_pre_hook(lambda _, inputs: embedded.append(float(inputs[4])))
    videos(student, "red", [1], guidance_scale=8.5, num_inference_steps=1)
    assert embedded == [7.5]


def test_a_pipeline_in_16_bits_makes_videos_too(tiny_pipelines: dict[str, Path]) -> None:
    for name in ("teacher", "student"):
        half = load_pipeline(tiny_pipelines[name]).to(torch.bfloat16)
        frames = videos(half, "red", [1])
        assert frames.dtype == np.float32
        assert np.isfinite(frames).all()


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
    with pytest.raises(ValueError, match="1 videos want as many generators"):
        videos(pipeline, "red", [1, 2])
    with pytest.raises(ValueError, match="no prompt"):
        videos(pipeline, [], [])
    with pytest.raises(ValueError, match="np, pt, pil, latent, not 'uint8'"):
        videos(pipeline, "red", [1], output_type="uint8")
    with pytest.raises(ValueError, match="full or small"):
        pipeline.decode(torch.zeros(1, 4, 1, 8, 8), "large")
    with pytest.raises(ValueError, match="1 to 50"):
        videos(pipeline, "red", [1], num_inference_steps=51)


def test_guidance_one_makes_one_pass_and_the_same_video(tiny_pipelines: dict[str, Path]) -> None:
    teacher = load_pipeline(tiny_pipelines["teacher"])
    batches: list[int] = []
    teacher.unet.register_forward_pre_hook(lambda _, inputs: batches.append(len(inputs[0])))
    one, nearly = (videos(teacher, "red", [1], guidance_scale=g) for g in (1.0, 1.0 + 1e-6))
    assert batches == [1, 1, 2, 2]
    np.testing.assert_allclose(one, nearly, atol=1 / 255)


def test_a_phased_student_takes_its_steps_without_fresh_noise(tiny_pipelines: dict[str, Path]) -> None:
    student = load_pipeline(tiny_pipelines["student"])
    shape = (student.unet.config.in_channels, 4, *student.latent_shape())

    def draws(sampling: str) -> bool:
        student.scheduler = VideoScheduler.from_config(student.scheduler.config, sampling=sampling, phases=2)
        generator = torch.Generator().manual_seed(1)
        student("red", generator=generator, num_inference_steps=2, num_frames=4, output_type="latent")
        once = torch.Generator().manual_seed(1)
        student.scheduler.draw_noise(shape, once)
        return not torch.equal(generator.get_state(), once.get_state())

    assert draws("consistency")
    assert not draws("phased")


def test_a_folder_without_a_part_is_named(tiny_pipelines: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no pipeline in"):
        load_pipeline(tmp_path)
    load_pipeline(tiny_pipelines["teacher"]).unet.save_pretrained(tmp_path / "model" / "unet")
    with pytest.raises(InputError, match="lacks vae"):
        load_pipeline(tmp_path / "model")


def test_a_folder_of_an_earlier_version_samples_as_it_did(
    tiny_pipelines: dict[str, Path], tmp_path: Path
) -> None:
    student = load_pipeline(tiny_pipelines["student"])
    student.save_pretrained(tmp_path / "old")
    saved = {
        "_class_name": "Diffusion",
        "timesteps": 1000,
        "steps": 4,
        "guidance": 7.5,
        "prediction": "epsilon",
    }
    (tmp_path / "old" / "scheduler" / "scheduler_config.json").write_text(json.dumps(saved))
    old = load_pipeline(tmp_path / "old")
    assert (old.few_steps, old.scheduler.config.guidance_scale) == (True, 8.5)
    torch.testing.assert_close(
        videos(old, "red", [1], output_type="latent"),
        videos(student, "red", [1], output_type="latent", guidance_scale=8.5),
    )


def test_height_and_width_differ_where_asked_for(pipeline: TextToVideoPipeline) -> None:
    assert videos(pipeline, "red", [1], num_inference_steps=1, height=32, width=96).shape == (1, 4, 32, 96, 3)
    with pytest.raises(ValueError, match="width=40: this model makes videos of a multiple of 16 pixels"):
        videos(pipeline, "red", [1], width=40)


def test_a_pipeline_keeps_its_own_height_and_width(pipeline: TextToVideoPipeline, tmp_path: Path) -> None:
    square = pipeline.scheduler
    pipeline.scheduler = VideoScheduler.from_config(square.config, height=32, width=48)
    pipeline.save_pretrained(tmp_path / "wide")
    pipeline.scheduler = square
    wide = load_pipeline(tmp_path / "wide")
    assert wide.latent_shape() == (4, 6)
    assert videos(wide, "red", [1], num_inference_steps=1).shape == (1, 4, 32, 48, 3)
    assert pipeline.latent_shape() == (8, 8)
