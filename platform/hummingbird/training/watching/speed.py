"""How fast a worker trains, and how much of its device that is."""

import json
import resource
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

FLOP = "flop.json"
PEAK_FLOPS = {
    "H200": 989e12,
    "H100": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "MI325X": 1307e12,
    "MI300X": 1307e12,
    "MI250": 191e12,
}
"""Dense bfloat16 operations a second by what a GPU's name holds, of the makers' data sheets (MI250: of one of its two
dies, which are a device each)."""


class Speedometer:
    """Says what steps come to, once the operations of a run's very first step have been counted.

    Only there: counting takes other paths through torch, whose last digits differ, and a run that goes on must be as
    one that never stopped. What was counted is kept in ``flop.json``.

    Args:
        folder: the run's.
        samples: of a step and worker.
        step: from which the run goes on.
    """

    def __init__(self, folder: Path, device: torch.device, samples: int, step: int) -> None:
        self._file, self._device, self._samples, self._first = folder / FLOP, device, samples, step == 0
        self._flop: float | None = None
        if step and self._file.is_file():
            self._flop = json.loads(self._file.read_text(encoding="utf-8"))["flop"]

    def counter(self) -> FlopCounterMode | None:
        """What to run the first step in; afterwards none."""
        return FlopCounterMode(display=False) if self._first and self._flop is None else None

    def count(self, counter: FlopCounterMode) -> None:
        """Takes what a step was counted at."""
        self._flop = float(counter.get_total_flops())
        self._file.write_text(json.dumps({"flop": self._flop}), encoding="utf-8")

    def figures(self, seconds: float, workers: int) -> dict[str, float]:
        """What is shown of a step: samples a second of all workers, the memory of this one in GB, TFLOP a second, and
        their share of the device's peak where that is known (``mfu``)."""
        figures = {
            "samples_per_second": self._samples * workers / seconds,
            "memory_gb": _memory(self._device) / 1e9,
        }
        if self._flop:
            figures["tflops"] = self._flop / seconds / 1e12
            peak = peak_flops(self._device)
            if peak is not None:
                figures["mfu"] = self._flop / seconds / peak
        return figures


def peak_flops(device: torch.device) -> float | None:
    """Of the device, where its name is known."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    return next((peak for part, peak in PEAK_FLOPS.items() if part in name), None)


def samples_of(batch: dict[str, Any]) -> int:
    """Rows of a batch: of its first tensor or list; a batch of none is one sample."""
    for value in batch.values():
        if (isinstance(value, Tensor | np.ndarray) and value.ndim) or isinstance(value, list | tuple):
            return len(value)
    return 1


def _memory(device: torch.device) -> int:
    """Most bytes that were in use: of the GPU, or of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
