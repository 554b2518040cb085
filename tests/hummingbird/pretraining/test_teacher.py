"""The teacher's training loss, and captions with one attribute changed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hummingbird.config.pretrain import PretrainSettings
from hummingbird.config.settings import Settings
from hummingbird.core.model_references import SHIPPED_WEIGHTS
from hummingbird.models.architectures import shapes_teacher_config
from hummingbird.models.scheduler import VideoScheduler
from hummingbird.models.unet import VideoUNet
from hummingbird.pretraining import teacher
from hummingbird.pretraining.rewards import attributes_of, changed
from hummingbird.pretraining.teacher import (
    LATE,
    NOISE,
    OBJECT_WEIGHT,
    OFTEN,
    ONE_OBJECT,
    SETTLED,
    clip_batches,
    denoising_loss,
    draw_scene,
    draw_timesteps,
    find_objects,
    image_teacher,
    known_places,
    pretrain_teacher,
    with_images,
)
from hummingbird.pretraining.text import make_tokenizer
from hummingbird.shapes.scene import FRAMES, SHAPES, caption, format_caption, sample_scene
from hummingbird.training.data import Worker
from safetensors.torch import load_file


def test_the_loss_of_a_model_that_predicts_nothing_is_the_power_of_what_it_should_predict() -> None:
    diffusion, generator = VideoScheduler(**NOISE), torch.Generator().manual_seed(0)
    x0, objects = torch.zeros(256, 1, 1, 8, 8), torch.zeros(256, 1, 8, 8, dtype=torch.bool)
    loss = denoising_loss(lambda x, *_, **__: torch.zeros_like(x), diffusion, x0, x0, x0, objects, generator)  # type: ignore[arg-type]
    share, first = LATE
    expected = (1 - share) * diffusion.alphas_cumprod.mean() + share * diffusion.alphas_cumprod[first:].mean()
    assert float(loss) == pytest.approx(float(expected), rel=0.1)


def test_errors_count_more_where_objects_are_once_that_is_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    objects = torch.zeros(1, 1, 8, 8, dtype=torch.bool)
    objects[..., :4] = True

    def wrong_where_objects_are(x: torch.Tensor, *_: object, **__: object) -> torch.Tensor:
        return 2.0 * objects.float()[:, None].expand_as(x)

    for t, share in ((SETTLED - 1, OBJECT_WEIGHT / (OBJECT_WEIGHT + 1)), (SETTLED, 0.5)):
        monkeypatch.setattr(teacher, "draw_timesteps", lambda *_, t=t: torch.tensor([t]))
        diffusion = VideoScheduler(**NOISE)
        monkeypatch.setattr(diffusion, "target", lambda x0, *_: torch.zeros_like(x0))
        x0 = torch.zeros(1, 3, 1, 8, 8)
        loss = denoising_loss(
            wrong_where_objects_are,  # type: ignore[arg-type]
            diffusion, x0, x0, x0, objects, torch.Generator().manual_seed(0),
        )  # fmt: skip
        assert float(loss) == pytest.approx(4 * share)


def test_objects_are_found_in_the_cells_that_they_touch() -> None:
    clip = np.full((1, 1, 64, 64, 3), 120, np.uint8)
    clip[0, 0, 7:9, 17:20] = (220, 30, 30)
    found = find_objects(clip, 8, 8)[0, 0]
    assert found.nonzero().tolist() == [[0, 2], [1, 2]]


def test_what_is_learned_last_is_drawn_more_often_and_pairs_less() -> None:
    rng = np.random.default_rng(0)
    scenes = [draw_scene(rng) for _ in range(3000)]
    assert sum(len(scene.objects) == 1 for scene in scenes) / 3000 == pytest.approx(ONE_OBJECT, abs=0.03)
    single = [scene for scene in scenes if len(scene.objects) == 1]
    turning = sum(scene.motion == "turning" for scene in single)
    growing = sum(scene.motion == "growing" for scene in single)
    # Five of the six shapes turn, and those are drawn more often than a circle.
    others = [OFTEN.get(shape, 1.0) for shape in SHAPES if shape != "circle"]
    odds = OFTEN["turning"] / OFTEN["growing"] * (sum(others) / 5) / ((sum(others) + 1) / 6)
    assert turning / growing == pytest.approx(odds, rel=0.2)


def test_timesteps_cover_the_process_and_more_of_them_its_noisy_end() -> None:
    t = draw_timesteps(4000, torch.Generator().manual_seed(0))
    assert int(t.min()) < 5
    assert int(t.max()) > 995
    share, first = LATE
    assert float((t >= first).float().mean()) == pytest.approx(
        share + (1 - share) * (1 - first / 1000), abs=0.03
    )


def test_places_are_told_one_after_the_other_until_all_are() -> None:
    known = [known_places(step, 1000) for step in range(1000)]
    second = round(1000 * (teacher.FIRST_PLACE_SHARE + teacher.PLACE_SHARE))
    assert (known[second - 1], known[second + 1]) == (1, 2)
    assert sorted(set(known)) == list(range(1, FRAMES + 1)), "all before the last step"
    assert known == sorted(known)


def test_frames_then_clips_are_trained_on_and_a_start_is_taken_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teacher, "SHARD", 8)
    for batch in ("IMAGE_BATCH", "CLIP_BATCH"):
        monkeypatch.setattr(teacher, batch, 2)

    def run(name: str, **pretrain: Any) -> tuple[dict[str, float], dict[str, torch.Tensor]]:
        settings = Settings(pretrain=PretrainSettings(steps=1, clips=8, **pretrain))
        facts = pretrain_teacher(tmp_path / name, settings)
        return facts, load_file(tmp_path / name / "unet" / "diffusion_pytorch_model.safetensors")

    facts, first = run("a", image_steps=2)
    assert (facts["images_steps"], facts["steps"]) == (2, 1)
    assert first["place_embedding.linear_2.weight"].abs().sum() > 0
    start = tmp_path / "a" / "unet"
    facts, again = run("b", image_steps=0, start=start, learning_rate=1e-12)
    assert "images_steps" not in facts
    assert all(torch.allclose(again[name], value) for name, value in first.items())
    monkeypatch.setattr(teacher, "CLIP_RATE", 0.0)
    facts, taught = run("c", image_steps=1, start=start)
    assert facts["images_steps"] == 1
    assert any(not torch.equal(taught[name], value) for name, value in first.items()), "single frames alone"


@pytest.mark.slow
def test_two_workers_train_one_teacher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ray_cluster: None
) -> None:
    monkeypatch.setattr(teacher, "SHARD", 8)  # here, where clips are drawn for all workers
    settings = PretrainSettings(steps=1, clips=8, image_steps=0, workers=2, threads=2)
    facts = pretrain_teacher(tmp_path, Settings(pretrain=settings))
    assert facts["steps"] == 1
    assert (tmp_path / "unet" / "diffusion_pytorch_model.safetensors").is_file()


def test_a_batch_depends_on_step_and_worker_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teacher, "SHARD", 8)
    monkeypatch.setattr(teacher, "CLIP_BATCH", 4)
    cpu, parts, settings = torch.device("cpu"), SHIPPED_WEIGHTS / "teacher", PretrainSettings(clips=8)

    def batches(rank: int) -> list[torch.Tensor]:
        with clip_batches(tmp_path, parts, 0, settings, False, Worker(rank, 2, cpu)) as read:
            assert read(0)["places"].tolist() == [list(range(FRAMES))] * 4
            return [read(step)["latents"] for step in (2, 1)]

    first, again, other = batches(0), batches(0), batches(1)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], first[1])
    assert not any(torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_at_the_end_of_the_noise_process_next_to_nothing_of_a_clip_is_left() -> None:
    assert float(VideoScheduler(**NOISE).alphas_cumprod[-1]) < 0.1 * float(
        VideoScheduler().alphas_cumprod[-1]
    )


def test_clips_begin_as_what_was_learned_of_single_frames() -> None:
    torch.manual_seed(0)
    images, unet = VideoUNet(**image_teacher()).eval(), VideoUNet(**shapes_teacher_config()).eval()
    for name, weight in images.named_parameters():
        if ".temp_" not in name:
            torch.nn.init.normal_(weight, std=0.05)
    with_images(unet, images)
    video, text, fps = torch.randn(1, 16, 3, 8, 8), torch.randn(1, 5, 128), torch.full((1,), 8.0)
    with torch.no_grad():
        together = unet(video, torch.tensor([500]), text, fps)
        alone = images(video[:, :, 1:2], torch.tensor([500]), text, fps, places=torch.tensor([[1]]))
    torch.testing.assert_close(together[:, :, 1:2], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("visible", [True, False])
def test_a_changed_caption_differs_and_frames_are_never_asked_for_motion(visible: bool) -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        true = attributes_of(sample_scene(rng))
        other = changed(true, rng, visible)
        assert format_caption(other) != format_caption(true)
        if visible:
            assert other.motion == true.motion


def test_every_caption_fits_the_tokenizer_without_unknown_words() -> None:
    tokenizer, rng = make_tokenizer(), np.random.default_rng(0)
    for _ in range(300):
        ids = tokenizer(caption(sample_scene(rng)))["input_ids"]
        assert tokenizer.unk_token_id not in ids
        assert len(ids) <= tokenizer.model_max_length
