"""A style's training: what it learns from the clips, and what holds it to the base."""

import copy
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hummingbird.config.customize import CustomizeSettings
from hummingbird.config.lora import LoRASettings
from hummingbird.config.settings import Settings
from hummingbird.config.training import TrainingSettings
from hummingbird.core.errors import InputError
from hummingbird.lake.lake import Lake
from hummingbird.models.pipeline import load_pipeline
from hummingbird.models.scheduler import VideoScheduler
from hummingbird.models.unet import VideoUNet
from hummingbird.training.customize import train_style
from hummingbird.training.latent_cache import LatentCache
from hummingbird.training.methods.base import STUDENT, MethodInputs, TrainingStep
from hummingbird.training.methods.style import StyleLearning, StyleSettings
from hummingbird.training.own_videos import make_own_videos


@pytest.fixture
def teacher(tiny_teacher: Path) -> Path:
    """The tiny teacher with random weights everywhere: a fresh one predicts zero."""
    unet = VideoUNet.from_pretrained(tiny_teacher / "unet")
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in unet.parameters():
            parameter.normal_(std=0.1)
    unet.save_pretrained(tiny_teacher / "unet")
    return tiny_teacher


@pytest.fixture
def cache(teacher: Path, write_cache: Callable[..., Path], tmp_path: Path) -> Path:
    return write_cache(tmp_path / "clips", pipeline=teacher)


def step_of(cache: Path, student: Any) -> TrainingStep:
    generator = torch.Generator().manual_seed(5)
    batch = LatentCache(cache).load([0, 1])
    return TrainingStep({STUDENT: student}, {STUDENT: student}, batch, generator, generator)


@pytest.mark.parametrize("few_steps", [False, True])
def test_the_bases_own_videos_cost_nothing_until_the_student_leaves_the_base(
    teacher: Path, cache: Path, tmp_path: Path, few_steps: bool
) -> None:
    make_own_videos(str(teacher), ["a clip", ""], cache, tmp_path / "prior", seed=3)
    assert LatentCache(tmp_path / "prior").load([0, 1])["captions"] == ["a clip", ""]
    base = VideoUNet.from_pretrained(teacher / "unet")
    config = dict(load_pipeline(teacher).scheduler.config)
    scheduler = VideoScheduler.from_config(config, sampling="consistency" if few_steps else "ddim")
    student = copy.deepcopy(base)
    inputs = MethodInputs(base, student, scheduler, scheduler, torch.zeros(6, 16))
    build = partial(StyleLearning, inputs=inputs)
    held = build(StyleSettings(prior=tmp_path / "prior", prior_weight=2.0))
    losses = held.losses(STUDENT, step_of(cache, student))
    assert losses.terms["prior"] == 0
    assert losses.total == losses.terms["style"] > 0
    with torch.no_grad():
        student.conv_out.weight.mul_(1.5)
    losses = held.losses(STUDENT, step_of(cache, student))
    assert losses.terms["prior"] > 0
    torch.testing.assert_close(losses.total, losses.terms["style"] + 2 * losses.terms["prior"])
    assert "prior" not in build(StyleSettings()).losses(STUDENT, step_of(cache, student)).terms


def test_a_style_is_trained_into_an_adapter_that_loads(teacher: Path, cache: Path, tmp_path: Path) -> None:
    settings = Settings(storage=tmp_path / "runs")
    about = json.loads((cache / "cache.json").read_text())
    (cache / "cache.json").write_text(json.dumps({**about, "snapshot_id": Lake.open(settings).snapshot()}))
    lora = LoRASettings(rank=2, layers="temporal")
    settings = settings.model_copy(
        update={
            "models": settings.models.model_copy(update={"teacher": str(teacher), "student": str(teacher)}),
            "training": TrainingSettings(engine="process", cache=cache, warmup_steps=1),
            "customize": CustomizeSettings(steps=3, learning_rate=1e-2, lora=lora),
        }
    )
    result = json.loads(train_style(settings).read_text())
    pipeline = load_pipeline(teacher)
    pipeline.set_progress_bar_config(disable=True)
    make = partial(pipeline, "clip", num_frames=4, num_inference_steps=2, output_type="latent")
    base = make(generator=torch.Generator().manual_seed(1)).frames
    pipeline.load_lora_weights(result["outputs"]["adapter"], adapter_name="style")
    assert not torch.equal(make(generator=torch.Generator().manual_seed(1)).frames, base)
    pipeline.set_adapters("style", 0)
    assert torch.equal(make(generator=torch.Generator().manual_seed(1)).frames, base)
    assert set(result["metrics"]["last"]) == {"style", "total"}


def test_a_style_without_an_adapter_is_refused(settings: Settings) -> None:
    section = CustomizeSettings(lora=LoRASettings(rank=0))
    with pytest.raises(InputError, match=r"customize\.lora\.rank=0"):
        train_style(settings.model_copy(update={"customize": section}))
