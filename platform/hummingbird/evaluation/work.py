"""The arithmetic of a video and the rate of the device: how far times are from the limit; and the memory of a pass."""

import statistics
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from hummingbird.core.timing import seconds_of
from hummingbird.evaluation.sampling import SamplingParameters, decode_frames, denoise
from hummingbird.evaluation.speed import TimedPipeline, VideoTimes, time_videos
from hummingbird.pruning.planner.peak import measured_peak

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
MATMUL_SIZE = {"cpu": 2048, "cuda": 8192}
"""Side of the square matrices whose product gives the device's rate; on a CPU smaller ones where these take long."""
_LONG = 0.1  # seconds


def video_flop(pipeline: Any, parameters: SamplingParameters) -> dict[str, float]:
    """Floating-point operations of a video by part; a multiplication and an addition are two.

    Args:
        pipeline: an eager one: compiled code cannot be counted. Every step is taken to cost the same.
    """
    text = pipeline.encode_prompts(["a"])
    latents: list[torch.Tensor] = []

    def steps(count: int) -> float:
        return _counted(
            lambda: latents.append(
                denoise(pipeline, text, [0], replace(parameters, num_inference_steps=count))
            )
        )

    one = steps(1)
    step = steps(2) - one
    return {
        "text": _counted(lambda: pipeline.encode_prompts(["a"])),
        "denoising": one + step * (parameters.num_inference_steps - 1),
        "decoding": _counted(lambda: decode_frames(pipeline, latents[-1], parameters)),
    }


def peak_bytes(timed: TimedPipeline, device: torch.device) -> int:
    """Bytes that one pass allocates at once beyond the weights; of compiled code on a CPU, what torch sees of it."""
    brief = timed.parameters.num_inference_steps
    shorter = replace(timed, parameters=replace(timed.parameters, num_inference_steps=min(brief, 2)))
    return measured_peak(lambda: time_videos(shorter, ["a"] * timed.batch_size, 0), device)


def speed_row(
    row: TimedPipeline, times: VideoTimes, flop: Mapping[str, float], rate: float, peak: int
) -> dict[str, Any]:
    """What was measured of a row, as JSON.

    Args:
        flop: of a video, by part.
        rate: operations a second of a large matrix product in the row's precision.
        peak: bytes of a pass beyond the weights.
    """
    limit = sum(flop.values()) / rate
    return {
        **times.as_json(),
        "note": row.note,
        **row.facts,
        "flop": dict(flop),
        "limit_seconds": limit,
        "mfu": limit / times.seconds,
        "denoising_mfu": flop["denoising"] / rate / times.parts["denoising"],
        "peak_gib": peak / 2**30,
    }


def matmul_rate(device: str, dtype: torch.dtype, repeats: int = 5) -> float:
    """Operations a second of a large matrix product: what the device can do in this type."""
    size = MATMUL_SIZE[device]
    if device == "cpu":  # one without instructions for bfloat16 takes minutes for what others do in a blink
        size = next((n for n in (256, 512, 1024) if _product(n, dtype, device) > _LONG), size)
    times = [_product(size, dtype, device) for _ in range(repeats + 1)]
    return 2 * size**3 / statistics.median(times[1:])


def _product(size: int, dtype: torch.dtype, device: str) -> float:
    """Seconds of the product of two square matrices."""
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    return seconds_of(lambda: a @ b)


def _counted(function: Callable[[], object]) -> float:
    with FlopCounterMode(display=False) as counter:
        function()
    return float(counter.get_total_flops())
