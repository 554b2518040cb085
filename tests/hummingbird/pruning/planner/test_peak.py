import pytest
import torch
from hummingbird.models.architectures import unet_config
from hummingbird.models.unet import VideoUNet
from hummingbird.pruning.planner.cost import InputShape, unet_inputs
from hummingbird.pruning.planner.peak import Timeline, estimated_peak, measured_peak

CONFIG = unet_config((32, 48), head_size=16, in_channels=4, text_width=16, norm_groups=16, dropout=0.0)
SHAPE = InputShape(frames=4, height=16, width=16, text_tokens=8, batch=2)


def build(checkpointing: bool) -> VideoUNet:
    unet = VideoUNet(**CONFIG | {"first_temporal_heads": 1}).train()
    unet.gradient_checkpointing = checkpointing
    return unet


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_estimated_peak_of_a_training_step_is_the_measured_one(checkpointing: bool, bf16: bool) -> None:
    estimate = estimated_peak(
        lambda: build(checkpointing),
        lambda unet: unet(**unet_inputs(CONFIG, SHAPE, "cpu")),
        device="cpu",
        backward=True,
        bf16=bf16,
    ).peak()
    unet = build(checkpointing)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            noise = unet(**unet_inputs(CONFIG, SHAPE, "cpu"))
        noise.float().square().mean().backward()

    measured = measured_peak(step, torch.device("cpu"))
    assert estimate == pytest.approx(measured, rel=0.1)


def test_the_estimated_peak_of_a_pass_is_the_measured_one() -> None:
    estimate = estimated_peak(
        lambda: build(False),
        lambda unet: unet(**unet_inputs(CONFIG, SHAPE, "cpu")),
        device="cpu",
        backward=False,
        bf16=False,
    ).peak()
    unet = build(False).eval()

    def step() -> None:
        with torch.no_grad():
            unet(**unet_inputs(CONFIG, SHAPE, "cpu"))

    assert estimate == pytest.approx(measured_peak(step, torch.device("cpu")), rel=0.15)


def test_sharing_gradients_lowers_the_peak() -> None:
    timeline: Timeline = estimated_peak(
        lambda: build(True),
        lambda unet: unet(**unet_inputs(CONFIG, SHAPE, "cpu")),
        device="cuda",
        backward=True,
        bf16=False,
    )
    assert timeline.peak(0.0) < timeline.peak(0.25) < timeline.peak()
