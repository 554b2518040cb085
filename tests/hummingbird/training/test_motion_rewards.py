"""Rewards of neighboring frames: how much moves, and whether it flickers."""

import pytest
import torch
from hummingbird.training.rewards.flow import gray, optical_flow, warp
from hummingbird.training.rewards.motion import (
    ConsistencyReward,
    MotionReward,
    MotionRewardSettings,
    NeighborSettings,
)
from pydantic import ValidationError
from torch import Tensor

CPU = torch.device("cpu")


def scene(shifts: list[float], size: int = 64) -> Tensor:
    """A video (1, T, 3, size, size) of one smooth picture that moves to the right by ``shifts`` pixels in all."""
    noise = torch.rand(1, 3, size, size + 32, generator=torch.Generator().manual_seed(1))
    for _ in range(3):
        noise = torch.nn.functional.avg_pool2d(noise, 5, 1, 2)
    picture = (noise - noise.min()) / (noise.max() - noise.min())
    frames = []
    for shift in shifts:
        flow = torch.zeros(1, 2, size, size + 32)
        flow[:, 0] = -shift
        frames.append(warp(picture, flow)[..., 16 : 16 + size])
    return torch.stack(frames, 1)


@pytest.mark.parametrize("shift", [0.5, 2.0, 5.0, -3.0])
def test_flow_finds_a_known_shift(shift: float) -> None:
    video = scene([0.0, shift])
    flow = optical_flow(gray(video[:, 0]), gray(video[:, 1]))
    middle = flow[:, :, 8:-8, 8:-8]
    assert float(middle[:, 0].mean()) == pytest.approx(shift, rel=0.1)
    assert float(middle[:, 1].abs().mean()) < 0.15 * abs(shift)


def test_motion_is_wanted_within_a_band() -> None:
    reward = MotionReward(MotionRewardSettings(size=64, low=0.02, high=0.06), CPU)
    frozen, slow, fine, fast = (
        float(reward.score(scene([0.0, step, 2 * step, 3 * step]), [""])) for step in (0.0, 0.6, 2.5, 6.0)
    )
    assert frozen == pytest.approx(0.0, abs=0.01)
    assert 0.2 < slow < 0.8
    assert fine == pytest.approx(1.0, abs=0.05)
    assert fast < 0.8
    assert float(reward.speed(scene([0.0, 2.5, 5.0]))) == pytest.approx(2.5 / 64, rel=0.5)


def test_motion_moves_a_slow_video_towards_the_band() -> None:
    """Following the slope of the score, a nearly frozen video moves more."""
    reward = MotionReward(MotionRewardSettings(size=64, low=0.02), CPU)
    video = scene([0.0, 0.3, 0.6])
    before = float(reward.speed(video))
    for _ in range(20):
        video.requires_grad_()
        (slope,) = torch.autograd.grad(reward.score(video, [""]).sum(), video)
        video = (video.detach() + 0.01 * slope.sign()).clamp(0, 1)
    assert float(reward.speed(video)) > 2 * before


def test_flicker_costs_and_motion_does_not() -> None:
    reward = ConsistencyReward(NeighborSettings(size=64), CPU)
    steps = [0.0, 1.5, 3.0, 4.5]
    frozen, moving = scene([0.0] * 4), scene(steps)
    flicker = moving * torch.tensor([1.0, 0.85, 1.0, 0.85]).view(1, 4, 1, 1, 1)
    noisy = (moving + 0.1 * torch.randn(moving.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    score = {
        name: float(reward.score(video, [""]))
        for name, video in {"frozen": frozen, "moving": moving, "flicker": flicker, "noisy": noisy}.items()
    }
    assert score["frozen"] == pytest.approx(1.0, abs=1e-4)
    assert score["moving"] > 0.98
    assert score["flicker"] < 0.96
    assert score["noisy"] < 0.96
    flicker = flicker.requires_grad_()
    (slope,) = torch.autograd.grad(reward.score(flicker, [""]).sum(), flicker)
    better = flicker.detach() + 0.05 * slope.sign()
    assert float(reward.score(better, [""])) > score["flicker"]


def test_bands_must_be_bands() -> None:
    with pytest.raises(ValidationError, match="high is not above low"):
        MotionRewardSettings(low=0.2, high=0.1)
