"""Devices: which one to use, what it is called, what its compiled code may rely on, and clocks that wait for it."""

import platform
import time
from pathlib import Path

import torch

from hummingbird.core.errors import InputError

INSTRUCTIONS = ("sse", "ssse", "avx", "amx", "fma", "f16c", "bmi", "gfni", "vaes", "vpclmul", "sve", "asimd")
"""Prefixes of the processor's features that compiled code may use."""


def resolve_device(device: str = "auto", setting: str = "device", gpu: bool | None = None) -> str:
    """``cuda`` or ``cpu``; for ``auto`` a GPU where there is one.

    Args:
        setting: what the error calls it.
        gpu: whether there is a GPU; none: whether torch sees one here.

    Raises:
        InputError: ``cuda`` without a GPU.
    """
    gpu = torch.cuda.is_available() if gpu is None else gpu
    if device == "cuda" and not gpu:
        raise InputError(f"{setting}=cuda, but there is no GPU")
    return ("cuda" if gpu else "cpu") if device == "auto" else device


def device_name(device: str) -> str:
    """The processor or GPU, for people."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    return _cpu_field("model name") or platform.processor() or platform.machine()


def describe_device() -> str:
    """Processor, threads and torch, and the GPU where torch sees one: what stands beside every reported time."""
    threads = torch.get_num_threads()
    parts = [device_name("cpu"), f"{threads} thread{'s' * (threads > 1)}", f"torch {torch.__version__}"]
    return ", ".join([device_name("cuda"), *parts] if torch.cuda.is_available() else parts)


def device_capability(device: str) -> list[str]:
    """What compiled code may rely on: the GPU's compute capability, or the processor's instruction sets."""
    if device == "cuda":
        return ["sm_{}{}".format(*torch.cuda.get_device_capability())]
    features = (_cpu_field("flags") or _cpu_field("Features")).split()
    return [platform.machine(), *sorted(f for f in features if f.startswith(INSTRUCTIONS))]


def synchronized_time() -> float:
    """Seconds of `time.perf_counter`, once a GPU has done all that it was asked to."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def _cpu_field(name: str) -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    values = (line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == name)
    return next(values, "")
