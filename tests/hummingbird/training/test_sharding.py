"""ZeRO stages, and other numbers of workers than a run began with."""

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hummingbird.config.lora import LoRASettings
from hummingbird.training.log import read_losses
from hummingbird.training.loop import TrainingJob
from hummingbird.training.methods.base import Losses, Method, TrainingStep
from plain_denoising import denoising
from plain_workers import train_in_workers
from safetensors.torch import load_file

UNET = "diffusion_pytorch_model.safetensors"
TERMS = ("total", "gradient_norm", "learning_rate")


def ended(job: TrainingJob, workers: int) -> list[dict[str, float]]:
    """The log of the job, trained to its end."""
    codes = train_in_workers(job, workers)
    assert not any(codes), (job.folder / "output-0").read_text()
    return read_losses(job.folder)


def agree(ours: list[dict[str, float]], theirs: list[dict[str, float]], rel: float) -> None:
    assert [line["step"] for line in ours] == [line["step"] for line in theirs]
    for one, other in zip(ours, theirs, strict=True):
        for term in TERMS:
            assert one[term] == pytest.approx(other[term], rel=rel), (one["step"], term)


def with_settings(job: TrainingJob, folder: Path, **training: Any) -> TrainingJob:
    return dataclasses.replace(job, folder=folder, training=job.training.model_copy(update=training))


def lost(job: TrainingJob, call: int, workers: int) -> None:
    """Trains the job until its last worker is lost in its ``call``-th batch."""

    def build(device: torch.device) -> Method:
        method = job.build(device)

        class Lost(type(method)):  # type: ignore[misc]
            calls = 0

            def losses(self, network: str, step: TrainingStep) -> Losses:
                self.calls += 1
                if self.calls == call and int(os.environ["RANK"]) == workers - 1:
                    os._exit(1)
                return super().losses(network, step)

        method.__class__ = Lost
        return method

    assert any(train_in_workers(dataclasses.replace(job, build=build), workers))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lora", "stage", "offload"),
    [(0, 1, False), (0, 2, False), (0, 3, False), (4, 2, False), (4, 3, False), (0, 2, True), (0, 3, True)],
)
def test_zero_stages_agree_and_go_on_from_their_checkpoints(
    make_job: Callable[..., TrainingJob], tmp_path: Path, lora: int, stage: int, offload: bool
) -> None:
    job = dataclasses.replace(make_job(steps=4, gradient_accumulation=2), lora=LoRASettings(rank=lora))
    plain = with_settings(job, tmp_path / "plain", zero_stage=0)
    lines = ended(plain, 2)
    job = with_settings(job, tmp_path / "shared", zero_stage=stage, offload_optimizer=offload)
    lost(job, 6, 2)  # in step 3
    agree(ended(job, 2), lines, rel=1e-4)
    weights = load_file(plain.folder / "unet" / UNET)
    for name, tensor in load_file(job.folder / "unet" / UNET).items():
        torch.testing.assert_close(tensor, weights[name], rtol=1e-3, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lora", "stage", "before", "after"),
    [(0, 0, 2, 1), (0, 2, 2, 1), (0, 2, 1, 2), (0, 3, 1, 2), (4, 2, 2, 1)],
)
def test_a_run_goes_on_with_another_number_of_workers(
    make_job: Callable[..., TrainingJob], tmp_path: Path, lora: int, stage: int, before: int, after: int
) -> None:
    """Where the loss depends on the step alone: moments, schedule and average go from one to the other."""
    job = dataclasses.replace(
        make_job(steps=6, checkpoint_every=3, zero_stage=stage), lora=LoRASettings(rank=lora)
    )
    job = dataclasses.replace(job, build=denoising(job, every_clip_alike=True))
    whole = ended(with_settings(job, tmp_path / "whole"), 1)
    weights = load_file(tmp_path / "whole" / "unet" / UNET)
    changed = with_settings(job, tmp_path / "changed")
    lost(changed, 5, before)
    agree(ended(changed, after), whole, rel=1e-4)
    for name, tensor in load_file(changed.folder / "unet" / UNET).items():
        torch.testing.assert_close(tensor, weights[name], rtol=1e-3, atol=1e-4)
