"""Times side by side: what is compared takes turns, so that whatever else the machine does hits all alike."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from hummingbird.core.devices import synchronized_time
from hummingbird.core.progress import ProgressBar

T = TypeVar("T")


def seconds_of(task: Callable[[], object]) -> float:
    """Seconds of one call, with all that a GPU does for it."""
    start = synchronized_time()
    task()
    return synchronized_time() - start


def time_in_turns(
    tasks: Mapping[str, Callable[[], object]],
    warmup: int,
    repeats: int,
    label: str | None = None,
    unit: str = "pass",
) -> dict[str, list[float]]:
    """Seconds of ``repeats`` calls of every task; see `measure_in_turns`."""
    measures = {name: lambda turn, task=task: seconds_of(task) for name, task in tasks.items()}
    return measure_in_turns(measures, warmup, repeats, label, unit)


def measure_in_turns(
    measures: Mapping[str, Callable[[int], T]],
    warmup: int,
    repeats: int,
    label: str | None = None,
    unit: str = "pass",
) -> dict[str, list[T]]:
    """What each measure returns in ``repeats`` turns, after ``warmup`` turns that do not count.

    Args:
        measures: by name; called with the number of the turn, from 0, warm-up included.
        label: stands beside a progress bar; none: no bar.
        unit: what the bar counts.
    """
    results: dict[str, list[T]] = {name: [] for name in measures}
    total = len(measures) * (warmup + repeats)
    with ProgressBar(total=total, desc=label, unit=unit, disable=label is None) as bar:
        for turn in range(warmup + repeats):
            for name, measure in measures.items():
                result = measure(turn)
                if turn >= warmup:
                    results[name].append(result)
                bar.update()
    return results
