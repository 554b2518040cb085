"""Distribution matching: its gradient, its videos, its two rates, and its sum with consistency."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from drawn_weights import drawn, drawn_state
from hummingbird.config.cluster import RaySettings
from hummingbird.models.architectures import unet_config
from hummingbird.models.scheduler import VideoScheduler
from hummingbird.models.unet import VideoUNet
from hummingbird.pruning.pruned_config import pruned_config
from hummingbird.pruning.pruning_plan import load_plan
from hummingbird.training.latent_cache import Batch
from hummingbird.training.log import read_losses
from hummingbird.training.loop import TrainingJob
from hummingbird.training.methods.base import Method, MethodInputs, TrainingStep
from hummingbird.training.methods.consistency import ConsistencyDistillation
from hummingbird.training.methods.distribution_matching import (
    FAKE_SCORE,
    DistributionMatching,
    DistributionMatchingSettings,
    matching_loss,
)
from hummingbird.training.trainer import train
from torch import Tensor, nn

GOLDEN = {
    "alone": {"denoising": 1.430002, "matching": 0.379634, "total": 0.379634},
    "both": {"denoising": 1.430002, "matching": 0.379634, "consistency": 1.210996, "total": 1.364766},
}


@pytest.fixture
def batch() -> Batch:
    return {
        "latents": drawn("latents", (3, 4, 4, 8, 8)),
        "text": drawn("text", (3, 5, 16)),
        "fps": torch.tensor([8.0, 12.0, 24.0]),
        "captions": ["first", "second", "third"],
    }


def filled(config: dict[str, Any]) -> nn.Module:
    module = VideoUNet(**config)
    module.load_state_dict(drawn_state({name: t.shape for name, t in module.state_dict().items()}))
    return module.eval()


def method_of(**settings: Any) -> DistributionMatching:
    config = unet_config((16, 24), head_size=8, in_channels=4, text_width=16, norm_groups=8, middle=True)
    small = pruned_config(load_plan("hummingbird-0.7b", config), config)
    networks = filled(config), filled({**small, "guidance_size": 8})
    inputs = MethodInputs(*networks, VideoScheduler(), VideoScheduler(), drawn("empty", (5, 16)))
    chosen = {"guidance_scale_min": 6.0, "guidance_scale_max": 16.0, "guidance_size": 8, **settings}
    return DistributionMatching(DistributionMatchingSettings(**chosen), inputs)


def step_of(method: Method, batch: Batch, seed: int = 0) -> TrainingStep:
    generator = torch.Generator().manual_seed(seed)
    networks: Any = {name: network.module for name, network in method.networks.items()}
    return TrainingStep(networks, {"student": networks["student"]}, batch, generator, generator)


def test_losses_of_distribution_matching_alone_and_with_consistency(batch: Batch) -> None:
    """Golden values."""
    got = {}
    for name, settings in (("alone", {}), ("both", {"consistency_weight": 0.5, "matching_weight": 2.0})):
        method = method_of(**settings)
        fake = method.losses(FAKE_SCORE, step_of(method, batch))
        student = method.losses("student", step_of(method, batch))
        got[name] = {
            **{term: float(value) for term, value in (fake.terms | student.terms).items()},
            "total": float(student.total),
        }
    assert got["alone"] == pytest.approx(GOLDEN["alone"], rel=1e-4)
    assert got["both"] == pytest.approx(GOLDEN["both"], rel=1e-4)
    both = got["both"]
    assert both["total"] == pytest.approx(2.0 * both["matching"] + 0.5 * both["consistency"], rel=1e-5)


def test_the_gradient_leads_from_the_fake_score_to_the_real_one() -> None:
    generator = torch.Generator().manual_seed(0)
    video, fake, real = (torch.randn(2, 4, 3, 5, 5, generator=generator) for _ in range(3))
    video.requires_grad_()
    (slope,) = torch.autograd.grad(matching_loss(video, fake, real), video)
    for index in range(2):
        distance = (video[index] - real[index]).abs().mean()
        expected = (fake[index] - real[index]) / distance / video.numel()
        torch.testing.assert_close(slope[index], expected)


def test_a_student_whose_fake_score_is_the_guided_teacher_has_nothing_to_learn() -> None:
    video = torch.randn(2, 4, 3, 5, 5)
    assert float(matching_loss(video, video + 1, video + 1)) == 0.0


@pytest.mark.parametrize("network", ["student", FAKE_SCORE])
def test_gradients_reach_the_network_that_is_updated_alone(batch: Batch, network: str) -> None:
    method = method_of(consistency_weight=1.0)
    method.losses(network, step_of(method, batch)).total.backward()
    for name, trained in method.networks.items():
        reached = [p.grad is not None and bool(p.grad.abs().max() > 0) for p in trained.module.parameters()]
        assert (sum(reached) > 0.9 * len(reached)) if name == network else not any(reached)
    assert all(p.grad is None for p in method._teacher.model.parameters())


def test_videos_begin_where_the_students_own_steps_lead(batch: Batch) -> None:
    """All of its steps come, noisiest first, and only the last of a call learns."""
    method = method_of(steps=4)
    asked: list[tuple[int, bool]] = []
    student: Any = method.networks["student"].module

    def watched(x: Tensor, t: Tensor, text: Tensor, **more: Any) -> Tensor:
        asked.append((int(t[0]), torch.is_grad_enabled()))
        output: Tensor = student(x, t, text, **more)
        return output

    lengths = set()
    for seed in range(12):
        asked.clear()
        step = step_of(method, batch, seed)
        rows = {**{name: batch[name] for name in ("text", "fps")}, "w": torch.ones(3)}
        video = method.own_videos(watched, rows, step, learns=True)
        assert video.requires_grad
        assert [t for t, _ in asked] == method._starts[: len(asked)]
        assert [learns for _, learns in asked] == [False] * (len(asked) - 1) + [True]
        lengths.add(len(asked))
    assert lengths == {1, 2, 3, 4}
    assert method._starts[0] == 999


def test_the_planner_counts_all_networks_and_passes() -> None:
    settings = DistributionMatchingSettings(steps=4, fake_updates=5)
    alone = DistributionMatching.cost(settings, 2, False)
    assert (alone.networks, alone.other_updates) == (("student", "teacher"), 5)
    assert (alone.teacher_passes, alone.student_passes, alone.trained_passes) == (3, 6 * 1.5 + 5, 1)
    both = DistributionMatching.cost(settings.model_copy(update={"consistency_weight": 1.0}), 2, False)
    assert (both.teacher_passes, both.trained_passes) == (5, 2)
    assert DistributionMatching.scheduler_changes(settings)["num_inference_steps"] == 4


def test_both_networks_are_trained_at_their_rates(make_job: Callable[..., TrainingJob]) -> None:
    job = make_job(engine="process", steps=3, checkpoint_every=None)

    def build(device: torch.device) -> Method:
        made: Any = job.build(device)
        inputs = MethodInputs(
            made._teacher.model,
            made.networks["student"].module,
            VideoScheduler(),
            VideoScheduler(),
            torch.zeros(6, 16),
        )
        settings = DistributionMatchingSettings(
            steps=2, fake_updates=2, fake_learning_rate=2e-3, guidance_size=4, consistency_weight=0.5
        )
        method = DistributionMatching(settings, inputs)
        assert isinstance(method, ConsistencyDistillation)
        assert method.updates(0) == (FAKE_SCORE, FAKE_SCORE, "student")
        assert method.networks[FAKE_SCORE].learning_rate == 2e-3
        return method

    train(dataclasses.replace(job, build=build), RaySettings())
    lines = read_losses(job.folder)
    terms = {"matching", "consistency", "fake_score/denoising", "fake_score/gradient_norm"}
    assert all(terms <= set(line) for line in lines)
