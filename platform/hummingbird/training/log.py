"""The log of a training: a line a step, reduced over the workers and written every few steps."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import torch
import torch.distributed as dist
from torch import Tensor

from hummingbird.core.metrics import count, gauge, observe
from hummingbird.training.engine import Pace

LOSSES = "losses.jsonl"


def read_losses(folder: Path) -> list[dict[str, float]]:
    """The lines of a run's log, one a step."""
    return [json.loads(line) for line in (folder / LOSSES).read_text(encoding="utf-8").splitlines()]


class StepLog:
    """The terms of the steps since the last reduction, on the device.

    Args:
        file: where lines go; none: another worker writes them.
    """

    def __init__(self, file: "LossFile | None") -> None:
        self._file = file
        self._steps: list[tuple[int, float, dict[str, Tensor]]] = []

    def add(self, step: int, learning_rate: float, terms: dict[str, Tensor]) -> None:
        """The terms of a step, counted from 1; nothing waits for them."""
        self._steps.append((step, learning_rate, terms))

    def reduce(self, seconds: float, pace: Pace, kept: int) -> list[dict[str, float]]:
        """Takes the mean over all workers, tells ``pace`` the time, and writes the lines.

        Args:
            seconds: what these steps took this worker.
            kept: the step of the last checkpoint; 0: there is none.

        Returns:
            The lines, the same on every worker.

        Raises:
            FloatingPointError: a term of one of the steps is not finite; the same on every worker.
        """
        terms = [term for _, _, by_name in self._steps for term in by_name.values()]
        values = torch.stack([term.float() for term in terms])
        values = torch.cat([values, values.new_tensor([seconds])])
        if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
            dist.all_reduce(values)
            values /= dist.get_world_size()
        *means, seconds = values.tolist()
        pace.read(seconds)
        each, lines, rest = seconds / len(self._steps), [], iter(means)
        for step, rate, by_name in self._steps:
            numbers = {name: next(rest) for name in by_name}
            if not all(math.isfinite(value) for value in numbers.values()):
                stays = f"the checkpoint of step {kept} stays" if kept else "there was no checkpoint yet"
                raise FloatingPointError(
                    f"step {step}: a loss or gradient is not finite: {numbers}; {stays}; lower the learning rate"
                )
            lines.append({"step": step, **numbers, "learning_rate": rate, "seconds": each})
        self._steps.clear()
        if self._file is not None:
            self._file.write(lines)
        return lines


class LossFile:
    """JSON lines, one a step, in a file that stays open; lines after ``start`` are those of a run that was cut off, and
    go. Ray's metrics get the numbers too."""

    def __init__(self, path: Path, start: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        valid = []
        if path.is_file():
            lines = path.read_text(encoding="utf-8").split("\n")[:-1]  # a killed run may leave half a line
            valid = [line for line in lines if json.loads(line)["step"] <= start]
        path.write_text("".join(f"{line}\n" for line in valid), encoding="utf-8")
        self._file = path.open("a", encoding="utf-8")

    def write(self, lines: list[dict[str, float]]) -> None:
        """Writes whole lines at once."""
        rounded = [{name: round(value, 7) for name, value in line.items()} for line in lines]
        self._file.write("".join(json.dumps(line) + "\n" for line in rounded))
        self._file.flush()
        for line in rounded:
            _measure(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def _measure(line: Mapping[str, float]) -> None:
    """A step in Ray's metrics."""
    count("hummingbird_training_steps", 1)
    observe("hummingbird_training_step_seconds", line["seconds"])
    gauge("hummingbird_training_learning_rate", line["learning_rate"])
    for term, value in line.items():
        if term not in ("step", "seconds", "learning_rate"):
            gauge("hummingbird_training_loss", value, {"term": term})
