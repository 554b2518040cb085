"""The U-Net beside diffusers' ``UNet3DConditionModel`` on the same weights, in turns in one run."""

import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import UNet3DConditionModel
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from hummingbird.config.section import InputError
from hummingbird.config.settings import Settings
from hummingbird.config.unet_benchmark import UnetBenchmarkSettings
from hummingbird.evaluation.device import device_name
from hummingbird.lake.runs import open_run
from hummingbird.models.architectures import unet_config
from hummingbird.models.unet import VideoUNet

Inputs = tuple[Tensor, Tensor, Tensor]
MATMUL_SIZE = {"cpu": 2048, "cuda": 8192}
"""Side of the square matrices whose product gives the device's rate."""


def unet_benchmark(settings: Settings) -> Path:
    """Time both U-Nets; returns the path of ``result.json``.

    Metrics: ``seconds`` (medians) by task (``forward``, ``training``) and contestant, ``speedup`` over diffusers by
    task, ``largest_difference`` of the outputs as a share of the largest value, ``tflop`` of a forward pass,
    ``matmul_tflop_per_second`` and ``mfu`` (the share of that rate that each reaches; a training step counts three
    forward passes), ``peak_gib`` on a GPU.

    Raises:
        InputError: there is no such device.
    """
    s = settings.unet_benchmark
    if s.device == "cuda" and not torch.cuda.is_available():
        raise InputError("unet_benchmark.device is cuda, but torch sees no GPU here")
    with open_run(settings, "unet_benchmark", inputs={"device": device_name()}) as run:
        torch.manual_seed(settings.seed)
        ours, theirs = equal_pair(s)
        inputs = draw_inputs(s)
        contestants: dict[str, nn.Module] = {"diffusers": theirs, "hummingbird": ours}
        largest = largest_difference(ours, theirs, inputs)
        if s.compile:
            contestants |= compiled_pair(s, ours, theirs)
        flop = count_flop(ours, inputs)
        rate = matmul_rate(s)
        tasks = {"forward": forward} | ({"training": training_step} if s.training else {})
        seconds = {name: _time(task, contestants, inputs, s, name) for name, task in tasks.items()}
        work = {"forward": flop, "training": 3 * flop}
        run.metrics.update(
            parameters=sum(p.numel() for p in ours.parameters()),
            seconds=seconds,
            speedup={
                task: {
                    name: times["diffusers"] / value for name, value in times.items() if name != "diffusers"
                }
                for task, times in seconds.items()
            },
            largest_difference=largest,
            tflop=flop / 1e12,
            matmul_tflop_per_second=rate / 1e12,
            mfu={
                task: {name: work[task] / value / rate for name, value in times.items()}
                for task, times in seconds.items()
            },
            device=device_name(),
        )
        if s.device == "cuda":
            run.metrics["peak_gib"] = torch.cuda.max_memory_allocated() / 2**30
        for task, times in seconds.items():
            for name, value in times.items():
                share = times["diffusers"] / value
                print(
                    f"{task:9} {name:22} {value:9.4f} s  {share:5.2f}x  {work[task] / value / rate:6.1%} of matmul"
                )
    return run.result_path


def equal_pair(s: UnetBenchmarkSettings) -> tuple[VideoUNet, UNet3DConditionModel]:
    """Ours and diffusers', with the same random weights, on the device."""
    stages = len(s.widths)
    with torch.device(s.device):
        theirs = UNet3DConditionModel(
            in_channels=s.in_channels,
            out_channels=s.in_channels,
            block_out_channels=s.widths,
            down_block_types=("CrossAttnDownBlock3D",) * (stages - 1) + ("DownBlock3D",),
            up_block_types=("UpBlock3D",) + ("CrossAttnUpBlock3D",) * (stages - 1),
            cross_attention_dim=s.text_width,
            attention_head_dim=s.head_size,
        )
        for parameter in theirs.parameters():  # branches that end in zeros would hide what they do
            parameter.data += 0.02 * torch.randn_like(parameter)
        ours = VideoUNet(
            **unet_config(
                s.widths,
                in_channels=s.in_channels,
                head_size=s.head_size,
                text_width=s.text_width,
                embed_fps=False,
                dropout=0.0,
            )
        )
    ours.load_state_dict(theirs.state_dict())
    return ours.eval(), theirs.eval()


def draw_inputs(s: UnetBenchmarkSettings) -> Inputs:
    """Latents (B, C, T, h, w), timesteps (B,) and text (B, L, D)."""
    sample = torch.randn(s.batch, s.in_channels, s.frames, s.height, s.width)
    text = torch.randn(s.batch, s.text_length, s.text_width)
    timesteps = torch.randint(0, 1000, (s.batch,))
    return sample.to(s.device), timesteps.to(s.device), text.to(s.device)


def compiled_pair(
    s: UnetBenchmarkSettings, ours: VideoUNet, theirs: UNet3DConditionModel
) -> Mapping[str, nn.Module]:
    """Both compiled: ours block by block, which compiles each kind of block once, diffusers' as a whole."""
    regional, whole = equal_pair(s)
    regional.load_state_dict(ours.state_dict())
    whole.load_state_dict(theirs.state_dict())
    regional.compile_repeated_blocks(dynamic=False)
    whole.compile(dynamic=False)
    return {"diffusers, compiled": whole, "hummingbird, compiled": regional}


def output(model: nn.Module, inputs: Inputs) -> Tensor:
    """The predicted noise of either."""
    made: Any = model(*inputs)
    noise: Tensor = made if isinstance(made, Tensor) else made.sample
    return noise


@torch.no_grad()
def largest_difference(ours: nn.Module, theirs: nn.Module, inputs: Inputs) -> float:
    """In float32, as a share of the largest value."""
    expected = output(theirs, inputs)
    return float((output(ours, inputs) - expected).abs().max() / expected.abs().max())


@torch.no_grad()
def forward(model: nn.Module, inputs: Inputs) -> None:
    """One pass without gradients."""
    output(model, inputs)


def training_step(model: nn.Module, inputs: Inputs) -> None:
    """One pass, and the gradients of all weights."""
    output(model, inputs).float().square().mean().backward()
    model.zero_grad(set_to_none=True)


@torch.no_grad()
def count_flop(model: nn.Module, inputs: Inputs) -> float:
    """Floating-point operations of one pass; a multiplication and an addition are two."""
    with FlopCounterMode(display=False) as counter:
        output(model, inputs)
    return float(counter.get_total_flops())


def matmul_rate(s: UnetBenchmarkSettings, repeats: int = 5) -> float:
    """Operations a second of a large matrix product in the same type: what the device can do."""
    size, dtype = MATMUL_SIZE[s.device], getattr(torch, s.precision)
    a, b = (torch.randn(size, size, device=s.device, dtype=dtype) for _ in range(2))
    times = []
    for _ in range(repeats + 1):
        start = _now(s.device)
        a @ b
        times.append(_now(s.device) - start)
    return 2 * size**3 / statistics.median(times[1:])


def _time(
    task: Callable[[nn.Module, Inputs], None],
    contestants: Mapping[str, nn.Module],
    inputs: Inputs,
    s: UnetBenchmarkSettings,
    name: str,
) -> dict[str, float]:
    """Median seconds of every contestant; they take turns."""
    times: dict[str, list[float]] = {contestant: [] for contestant in contestants}
    with tqdm(total=len(contestants) * (s.warmup + s.repeats), desc=name, unit="pass") as bar:
        for turn in range(s.warmup + s.repeats):
            for contestant, model in contestants.items():
                start = _now(s.device)
                with torch.autocast(s.device, torch.bfloat16, enabled=s.precision == "bfloat16"):
                    task(model, inputs)
                if turn >= s.warmup:
                    times[contestant].append(_now(s.device) - start)
                bar.update()
    return {contestant: statistics.median(values) for contestant, values in times.items()}


def _now(device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()
