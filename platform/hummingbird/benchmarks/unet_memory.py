"""Memory of a U-Net's pass beyond its weights: measured on a GPU, and estimated as the planner does."""

from collections.abc import Callable

import torch
from torch import nn

from hummingbird.benchmarks.unet_pair import unet_structure
from hummingbird.config.unet_benchmark import UnetBenchmarkSettings
from hummingbird.models.unet import VideoUNet
from hummingbird.pruning.planner.cost import InputShape, unet_inputs
from hummingbird.pruning.planner.peak import estimated_peak, measured_peak

GIB = 2**30


def measured_gib(step: Callable[[], object], device: str) -> float:
    """GiB that a step allocates at once."""
    return measured_peak(step, torch.device(device)) / GIB


def estimated_gib(s: UnetBenchmarkSettings, task: str) -> float:
    """GiB of our ``forward`` pass, or of a ``training`` step with its gradients."""
    config, trains = unet_structure(s), task == "training"
    shape = InputShape(s.num_frames, s.height, s.width, s.text_length, s.batch_size)
    low = s.precision == "bfloat16"
    kind = torch.bfloat16 if low and not trains else torch.float32

    def build() -> nn.Module:
        before = torch.get_default_dtype()
        torch.set_default_dtype(kind)  # tensors without data cannot be cast in place
        try:
            unet: VideoUNet = VideoUNet(**config)
        finally:
            torch.set_default_dtype(before)
        unet.train(trains).requires_grad_(trains)
        unet.gradient_checkpointing = s.gradient_checkpointing
        return unet

    def run(unet: nn.Module) -> torch.Tensor:
        inputs = unet_inputs(config, shape, "cpu")
        cast = {key: inputs[key].to(kind) for key in ("sample", "encoder_hidden_states")}
        noise: torch.Tensor = unet(**{**inputs, **cast})
        return noise

    timeline = estimated_peak(build, run, device=s.device, backward=trains, bf16=low and trains)
    return timeline.peak() / GIB
