"""Losses of the methods on fixed weights and inputs: a change of the arithmetic shows here."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from drawn_weights import drawn, drawn_state
from hummingbird.models.architectures import unet_config
from hummingbird.models.rewards import TextVideoScorer
from hummingbird.models.scheduler import VideoScheduler
from hummingbird.models.unet import VideoUNet
from hummingbird.pruning.pruned_config import pruned_config
from hummingbird.pruning.pruning_plan import load_plan
from hummingbird.training.latent_cache import Batch
from hummingbird.training.methods.base import MethodInputs, TrainingStep
from hummingbird.training.methods.consistency import ConsistencyDistillation, ConsistencySettings
from hummingbird.training.methods.distillation import Distillation, DistillationSettings
from hummingbird.training.methods.phased import PhasedConsistency, PhasedConsistencySettings
from hummingbird.training.rewards.base import Reward, RewardDeclaration
from hummingbird.training.rewards.term import RewardTerm
from torch import Tensor, nn


def filled(module: nn.Module) -> nn.Module:
    """Weights that depend on their names and shapes alone."""
    module.load_state_dict(drawn_state({name: t.shape for name, t in module.state_dict().items()}))
    return module.eval()


@pytest.fixture
def models() -> tuple[VideoUNet, VideoUNet, VideoUNet]:
    """A teacher, a student, and a student with guidance embedding."""
    config = unet_config((16, 24), head_size=8, in_channels=4, text_width=16, norm_groups=8, middle=True)
    small = pruned_config(load_plan("hummingbird-0.7b", config), config)
    return tuple(filled(VideoUNet(**c)) for c in (config, small, {**small, "guidance_size": 8}))


@pytest.fixture
def batch() -> Batch:
    return {
        "latents": drawn("latents", (3, 4, 4, 8, 8)),
        "text": drawn("text", (3, 5, 16)),
        "fps": torch.tensor([8.0, 12.0, 24.0]),
        "captions": ["first", "second", "third"],
    }


def inputs_of(teacher: VideoUNet, student: VideoUNet, rewards: RewardTerm | None = None) -> MethodInputs:
    return MethodInputs(
        teacher, student, VideoScheduler(), VideoScheduler(), drawn("empty", (5, 16)), rewards
    )


def step_of(student: VideoUNet, batch: Batch, seed: int = 0) -> TrainingStep:
    generator = torch.Generator().manual_seed(seed)
    return TrainingStep({"student": student}, {"student": student}, batch, generator, generator)


def test_losses_of_distillation(models: tuple[VideoUNet, ...], batch: Batch) -> None:
    teacher, student, _ = models
    method = Distillation(DistillationSettings(guidance_scale=3.0), inputs_of(teacher, student))
    losses = method.losses("student", step_of(student, batch))
    terms = {name: float(term) for name, term in losses.terms.items()}
    assert terms == pytest.approx(DISTILLATION, rel=1e-4)


def test_losses_of_consistency(models: tuple[VideoUNet, ...], batch: Batch) -> None:
    teacher, _, student = models
    settings = ConsistencySettings(guidance_scale_min=6.0, guidance_scale_max=16.0)
    method = ConsistencyDistillation(settings, inputs_of(teacher, student))
    losses = method.losses("student", step_of(student, batch))
    assert float(losses.terms["consistency"]) == pytest.approx(CONSISTENCY, rel=1e-4)


def test_losses_of_phased_consistency_as_the_recipes_use_it(
    models: tuple[VideoUNet, ...], batch: Batch
) -> None:
    """Target, own trajectories, reuse and rewarded videos; the fifth step has the teacher's second answer."""
    teacher, _, student = models
    settings = PhasedConsistencySettings(
        phases=4, solver_steps=8, target="teacher", on_policy=0.7, reuse=4, rollouts=1
    )
    rewards: dict[str, Reward] = {"frames": Frames(None, CPU), "video": Video(None, CPU)}
    term = RewardTerm(
        {name: (reward, reward.declare(None)) for name, reward in rewards.items()},
        {"frames": 0.1, "video": 0.2},
        decode,
    )
    method = PhasedConsistency(settings, inputs_of(teacher, student, term))
    for seed, expected in enumerate(PHASED):
        losses = method.losses("student", step_of(student, batch, seed))
        terms = {name: float(term) for name, term in losses.terms.items()}
        assert terms == pytest.approx(expected, rel=1e-4, abs=1e-5)


CPU = torch.device("cpu")
IDS = {"first": [1, 3, 4, 2, 0, 0], "second": [1, 5, 2, 0, 0, 0], "third": [1, 6, 7, 8, 9, 2]}


def decode(latents: Tensor) -> Tensor:
    frames = latents[:, :3].transpose(1, 2).sigmoid()
    return frames.repeat_interleave(4, -1).repeat_interleave(4, -2)


class Scored(Reward):
    """One scorer for both, with the tokens of the three captions."""

    def __init__(self, settings: Any, device: torch.device) -> None:
        super().__init__(settings, device)
        text = {
            "vocab_size": 16, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
            "num_attention_heads": 2, "max_position_embeddings": 6, "pad_token_id": 0, "bos_token_id": 1,
            "eos_token_id": 2,
        }  # fmt: skip
        scorer = TextVideoScorer(text, size=32, frames=4, widths=(8, 8, 8), embedding=16)
        self.scorer: Any = filled(scorer).requires_grad_(False)

    def tokens(self, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        ids = torch.tensor([IDS[caption] for caption in captions])
        return ids, (ids > 0).long()


class Frames(Scored):
    @classmethod
    def declare(cls, settings: Any) -> RewardDeclaration:
        return RewardDeclaration(2, "random")

    def score(self, video: Tensor, captions: Sequence[str]) -> Tensor:
        scores: Tensor = self.scorer.image_score(video.flatten(0, 1), *self.tokens(captions))
        return scores.unflatten(0, video.shape[:2]).mean(1)


class Video(Scored):
    @classmethod
    def declare(cls, settings: Any) -> RewardDeclaration:
        return RewardDeclaration(4, "even")

    def score(self, video: Tensor, captions: Sequence[str]) -> Tensor:
        scores: Tensor = self.scorer.video_score(video, *self.tokens(captions))
        return scores


DISTILLATION = {
    "output": 1.676836,
    "feature_0": 0.38017,
    "feature_1": 0.502589,
    "feature_2": 1.586659,
    "feature_3": 1.836334,
}
CONSISTENCY = 0.863012
PHASED = [
    {"consistency": 5.308599, "reward/frames": -0.297396, "reward/video": 0.025336},
    {"consistency": 5.308599, "reward/frames": -0.015911, "reward/video": 0.104188},
    {"consistency": 9.250891, "reward/frames": -0.218065, "reward/video": -0.097253},
    {"consistency": 1.366308, "reward/frames": 0.039888, "reward/video": 0.441989},
    {"consistency": 4.802981, "reward/frames": -0.005696, "reward/video": -0.048418},
]
