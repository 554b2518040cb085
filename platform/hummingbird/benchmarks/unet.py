"""The U-Net beside diffusers' ``UNet3DConditionModel`` on the same weights, in turns in one run."""

import json
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from hummingbird.benchmarks.unet_memory import estimated_gib, measured_gib
from hummingbird.benchmarks.unet_pair import (
    Inputs,
    TimedUNet,
    compile_pair,
    draw_inputs,
    equal_pair,
    predicted_noise,
    timed_unets,
)
from hummingbird.config.settings import Settings
from hummingbird.config.unet_benchmark import UnetBenchmarkSettings
from hummingbird.core.devices import describe_device, resolve_device
from hummingbird.core.files import write_atomically
from hummingbird.core.timing import seconds_of, time_in_turns
from hummingbird.evaluation.work import matmul_rate
from hummingbird.lake.runs import open_run

Task = Callable[[nn.Module, Inputs], None]


def unet_benchmark(settings: Settings) -> Path:
    """Time both U-Nets; returns the path of ``result.json``.

    Metrics: see `compare`. With ``unet_benchmark.folder`` the result goes there, and the lake is neither used nor
    needed.

    Raises:
        InputError: there is no such device.
    """
    s = settings.unet_benchmark
    resolve_device(s.device, "unet_benchmark.device")
    if s.folder is not None:
        s.folder.mkdir(parents=True, exist_ok=True)
        result = {
            "schema_version": 1,
            "settings": s.model_dump(mode="json"),
            "metrics": compare(s, settings.seed),
        }
        write_atomically(s.folder / "result.json", (json.dumps(result, indent=2) + "\n").encode())
        return s.folder / "result.json"
    with open_run(settings, "unet_benchmark", inputs={"device": describe_device()}) as run:
        run.metrics.update(compare(s, settings.seed))
    return run.result_path


def compare(s: UnetBenchmarkSettings, seed: int) -> dict[str, Any]:
    """Times both, and prints a line a task and model.

    Returns:
        ``seconds`` (medians) by task (``forward``, ``training``) and model, ``speedup`` over diffusers by
        task, ``largest_difference`` of the outputs in float32 as a share of the largest value, ``tflop`` of a
        forward pass, ``matmul_tflop_per_second`` and ``mfu`` (the share of that rate that each reaches; a training
        step counts three forward passes), ``compile_seconds`` (first calls), ``memory_gib`` of each beyond the
        weights on a GPU, ``out_of_memory`` (who did not fit there), ``estimated_gib`` of ours where asked for,
        ``peak_gib`` on a GPU.
    """
    torch.manual_seed(seed)
    ours, theirs = equal_pair(s)
    inputs = draw_inputs(s)
    flop = count_flop(ours, inputs)
    metrics: dict[str, Any] = {
        "parameters": sum(p.numel() for p in ours.parameters()),
        "largest_difference": largest_difference(ours, theirs, inputs),
        "tflop": flop / 1e12,
    }
    rate = matmul_rate(s.device, getattr(torch, s.precision))
    if s.compile:
        compile_pair(s, ours, theirs)
    seconds: dict[str, dict[str, float]] = {}
    memory: dict[str, dict[str, float]] = {}
    compiling: dict[str, float] = {}
    too_large: list[str] = []
    for task in ("training", "forward") if s.training else ("forward",):
        run: Task = training_step if task == "training" else forward
        kind = getattr(torch, s.precision) if task == "forward" else torch.float32
        for model in (ours, theirs):
            model.to(kind)
        cast: Inputs = (inputs[0].to(kind), inputs[1], inputs[2].to(kind))
        running = dict(timed_unets(s, ours, theirs, s.compile and (task == "forward" or s.compile_training)))
        memory[task] = {}
        for name in list(running):
            step = partial(_step, running[name], run, cast, s, task)
            try:
                first = seconds_of(step)
                if name.endswith("compiled"):
                    compiling[f"{task}, {name}"] = first
                if s.device == "cuda":
                    memory[task][name] = measured_gib(step, s.device)
            except torch.OutOfMemoryError:
                too_large.append(f"{task}, {name}")
            if (
                f"{task}, {name}" in too_large
            ):  # only here, where the error no longer holds the pass's tensors
                running.pop(name).model.zero_grad(set_to_none=True)
                torch.cuda.empty_cache()
        steps = {name: partial(_step, unet, run, cast, s, task) for name, unet in running.items()}
        repeats = time_in_turns(steps, s.warmup_passes, s.repeats, label=task)
        seconds[task] = {name: statistics.median(values) for name, values in repeats.items()}
    work = {"forward": flop, "training": 3 * flop}
    metrics |= {
        "seconds": seconds,
        "speedup": {
            task: {name: times["diffusers"] / value for name, value in times.items() if name != "diffusers"}
            for task, times in seconds.items()
            if "diffusers" in times
        },
        "matmul_tflop_per_second": rate / 1e12,
        "mfu": {
            task: {name: work[task] / value / rate for name, value in times.items()}
            for task, times in seconds.items()
        },
        "compile_seconds": compiling,
        "memory_gib": memory if s.device == "cuda" else {},
        "out_of_memory": too_large,
        "device": describe_device(),
    }
    if s.estimate:
        metrics["estimated_gib"] = {task: estimated_gib(s, task) for task in seconds}
    if s.device == "cuda":
        metrics["peak_gib"] = torch.cuda.max_memory_allocated() / 2**30
    for task, times in seconds.items():
        for name, value in times.items():
            faster = f"{times['diffusers'] / value:5.2f}x" if "diffusers" in times else ""
            beyond = f"{memory[task][name]:6.2f} GiB" if name in memory[task] else ""
            print(
                f"{task:9} {name:22} {value:9.4f} s  {faster:6}  {work[task] / value / rate:6.1%} of matmul  {beyond}"
            )
    for name in too_large:
        print(f"{name}: not enough memory")
    return metrics


@torch.no_grad()
def largest_difference(ours: nn.Module, theirs: nn.Module, inputs: Inputs) -> float:
    """In float32, as a share of the largest value."""
    expected = predicted_noise(theirs, inputs)
    return float((predicted_noise(ours, inputs) - expected).abs().max() / expected.abs().max())


@torch.no_grad()
def forward(model: nn.Module, inputs: Inputs) -> None:
    """One pass without gradients."""
    predicted_noise(model, inputs)


def training_step(model: nn.Module, inputs: Inputs) -> None:
    """One pass, and the gradients of all weights."""
    predicted_noise(model, inputs).float().square().mean().backward()
    model.zero_grad(set_to_none=True)


@torch.no_grad()
def count_flop(model: nn.Module, inputs: Inputs) -> float:
    """Floating-point operations of one pass; a multiplication and an addition are two."""
    with FlopCounterMode(display=False) as counter:
        predicted_noise(model, inputs)
    return float(counter.get_total_flops())


def _step(unet: TimedUNet, run: Task, inputs: Inputs, s: UnetBenchmarkSettings, task: str) -> None:
    autocast = s.precision == "bfloat16" and task == "training"
    with (
        torch.compiler.set_stance("default" if unet.compiled else "force_eager"),
        torch.autocast(s.device, torch.bfloat16, enabled=autocast),
    ):
        run(unet.model, inputs)
