"""Losses of both methods on fixed weights and inputs: a change of the arithmetic shows here."""

import pytest
import torch
from drawn_weights import drawn, drawn_state
from hummingbird.models.architectures import unet_config
from hummingbird.models.scheduler import VideoScheduler
from hummingbird.models.unet import VideoUNet
from hummingbird.pruning.pruned_config import pruned_config
from hummingbird.pruning.pruning_plan import load_plan
from hummingbird.training.methods.base import Teacher
from hummingbird.training.methods.consistency import Feedback
from hummingbird.training.methods.distillation import Distillation
from hummingbird.training.training_stage import shared_features
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
def batch() -> dict[str, Tensor]:
    return {
        "latents": drawn("latents", (3, 4, 4, 8, 8)),
        "text": drawn("text", (3, 5, 16)),
        "fps": torch.tensor([8.0, 12.0, 24.0]),
    }


def test_losses_of_distillation(models: tuple[VideoUNet, ...], batch: dict[str, Tensor]) -> None:
    teacher, student, _ = models
    guided = Teacher(teacher, drawn("empty", (5, 16)), shared_features(teacher, student))
    method = Distillation(guided, VideoScheduler(), guidance=3.0, feature_weight=0.1)
    losses = method.losses(student, student, batch, torch.Generator().manual_seed(0))
    terms = {name: float(term) for name, term in losses.terms.items()}
    assert terms == pytest.approx(DISTILLATION, rel=1e-4)


def test_losses_of_feedback(models: tuple[VideoUNet, ...], batch: dict[str, Tensor]) -> None:
    teacher, _, student = models
    method = Feedback(Teacher(teacher, drawn("empty", (5, 16))), VideoScheduler(), guidance=(5.0, 15.0))
    losses = method.losses(student, student, batch, torch.Generator().manual_seed(0))
    assert float(losses.terms["consistency"]) == pytest.approx(FEEDBACK, rel=1e-4)


DISTILLATION = {
    "output": 1.676836,
    "feature_0": 0.38017,
    "feature_1": 0.502589,
    "feature_2": 1.586659,
    "feature_3": 1.836334,
}
FEEDBACK = 0.863012
