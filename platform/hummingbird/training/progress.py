"""The bar of a training run, drawn where the run was started from the log that its first worker writes."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from hummingbird.core.background import every
from hummingbird.core.progress import ProgressBar

POLL_SECONDS = 0.5
_LONGEST_LINE = 8192  # bytes
_NOT_LOSSES = frozenset({"step", "total", "learning_rate", "seconds"})


@contextmanager
def training_bar(name: str, steps: int, log: Path) -> Iterator[None]:
    """While open, a bar follows ``log`` (JSON lines with ``step`` and ``total``), wherever its writer runs."""
    last = last_line(log)
    with ProgressBar(total=steps, initial=int(last["step"]) if last else 0, desc=name, unit="step") as bar:
        try:
            with every(POLL_SECONDS, partial(_show, bar, log), "training bar"):
                yield
        finally:
            _show(bar, log)


def last_line(log: Path) -> dict[str, Any] | None:
    """The last whole line, or None where there is none yet."""
    if not log.is_file():
        return None
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _LONGEST_LINE))
        whole = file.read().split(b"\n")[:-1]
    return json.loads(whole[-1]) if whole else None


def _show(bar: Any, log: Path) -> None:
    last = last_line(log)
    if last is not None and last["step"] != bar.n:
        bar.n = int(last["step"])  # a worker that was lost takes the run back to its last checkpoint
        if "total" in last:  # a step may have updated another network than the student
            terms = {name: value for name, value in last.items() if name not in _NOT_LOSSES}
            bar.set_postfix(
                {"loss": f"{last['total']:.4f}", **{name: f"{v:.4g}" for name, v in terms.items()}}
            )
