"""The progress bar of curation, with counts and rates, and the speed of each stage."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import RLock
from types import TracebackType
from typing import Any

from hummingbird.core.progress import ProgressBar

SECONDS = "seconds_"
"""Columns ``seconds_STAGE`` of rows on their way: the time that a stage has worked for the row."""


class CurationProgress:
    """Files done, what became of them, clips a second of each step, and the time left, on standard error.

    The rates count only what this run does itself: files that were done before do not make it look fast.
    ``work`` takes in what is done, of several passes one after the other. Steps may overlap, and report from threads
    of their own.
    """

    def __init__(self, files: int, work: "Work | None" = None) -> None:
        # Without smoothing, the time left follows from the mean rate: batches come in bursts.
        self._bar = ProgressBar(
            total=files, unit="file", desc="curate", mininterval=1.0, dynamic_ncols=True, smoothing=0
        )
        self.counts: Counter[str] = Counter()
        self._work = Work() if work is None else work
        self._steps: dict[str, _Step] = {}
        self._lock = RLock()

    def __enter__(self) -> "CurationProgress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._bar.refresh()
            self._bar.close()

    def skip(self, files: int) -> None:
        """``files`` more need no work."""
        with self._lock:
            self._bar.initial += files
            self._bar.update(files)

    def add(self, files: int = 0, **counts: int) -> None:
        """``files`` more are done; ``counts`` more of each thing."""
        with self._lock:
            self.counts.update(counts)
            self._work.files += files
            self._show()
            self._bar.update(files)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Says what is being done, and measures the step's time."""
        with self._lock:
            step = self._steps.setdefault(name, _Step())
            step.spent, step.since = step.seconds(), time.monotonic()
            step.active += 1
            self._describe()
        try:
            yield
        finally:
            with self._lock:
                step.spent, step.since = step.seconds(), time.monotonic()
                step.active -= 1
                self._describe()

    def row(self, step: str, row: Mapping[str, Any]) -> None:
        """Takes in a row that has passed the stages of the step."""
        with self._lock:
            self._steps[step].clips += 1
            for name, seconds in row.items():
                if name.startswith(SECONDS) and seconds is not None:
                    stage = self._work.stages.setdefault(name.removeprefix(SECONDS), [0, 0.0])
                    stage[0] += 1
                    stage[1] += seconds
            self._show()

    def _describe(self) -> None:
        active = [name for name, step in self._steps.items() if step.active]
        self._bar.set_description_str(" + ".join(active) or "curate")

    def _show(self) -> None:
        measured = ((name, step.clips, step.seconds()) for name, step in self._steps.items())
        rates = [
            f"{name} {clips / seconds:.3g} clips/s" for name, clips, seconds in measured if clips and seconds
        ]
        counts = [f"{n} {what}" for what, n in self.counts.items()]
        self._bar.set_postfix_str(", ".join([*rates, *counts]), refresh=False)


@dataclass
class Work:
    """What a run did itself: files that it read, and by stage clips and the seconds that its processes worked."""

    files: int = 0
    stages: dict[str, list[float]] = field(default_factory=dict)


@dataclass
class _Step:
    """Clips of a step, how many are at it now, and the seconds that it was at work until ``since``."""

    clips: int = 0
    active: int = 0
    spent: float = 0.0
    since: float = 0.0

    def seconds(self) -> float:
        return self.spent + (time.monotonic() - self.since if self.active else 0.0)


def stage_speeds(stages: Mapping[str, list[float]]) -> dict[str, dict[str, float]]:
    """By stage: clips, the seconds that its processes worked, and clips a second of one process."""
    return {
        name: {
            "clips": int(clips),
            "seconds": round(seconds, 3),
            "clips_per_second": round(clips / seconds, 3) if seconds else 0.0,
        }
        for name, (clips, seconds) in stages.items()
    }
