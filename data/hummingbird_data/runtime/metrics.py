"""What curation counts for Ray's dashboard and for Prometheus, which see it as ``ray_hummingbird_...``.

Workers count what passes through their stages; the driver counts what became of it. Outside Ray nothing is counted.
"""

import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, TypeVar

Item = TypeVar("Item")

_COUNTERS = {
    "hummingbird_stage_clips": ("Clips (or files, of the first stage) that a stage has made", ("stage",)),
    "hummingbird_stage_seconds": ("Time that a stage has worked, of all processes", ("stage",)),
    "hummingbird_stage_errors": ("Rows that a stage has failed on", ("stage",)),
    "hummingbird_kept_clips": ("Clips that were committed as kept", ()),
    "hummingbird_dropped_clips": (
        "Clips that were committed as dropped, by reason; some for several",
        ("reason",),
    ),
    "hummingbird_quarantined_files": ("Files that were committed to quarantine, by stage", ("stage",)),
}
"""Names, what they count, and their tags. A rate by stage is ``rate(ray_hummingbird_stage_clips_total[1m])``."""


def count(name: str, value: float, tags: Mapping[str, str] | None = None) -> None:
    """Adds to a counter of `_COUNTERS`."""
    if value and "ray" in sys.modules and sys.modules["ray"].is_initialized():
        _counter(name).inc(value, tags=dict(tags or {}))


@cache
def _counter(name: str) -> Any:
    from ray.util.metrics import Counter

    description, tags = _COUNTERS[name]
    return Counter(name, description=description, tag_keys=tags)


class Stopwatch:
    """Seconds that this process has spent on one thing."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def each(self, items: Iterable[Item]) -> Iterator[Item]:
        """The items, with the time that it takes to get them."""
        iterator = iter(items)
        while True:
            start = time.perf_counter()
            try:
                item = next(iterator)
            except StopIteration:
                return
            finally:
                self.seconds += time.perf_counter() - start
            yield item


decoding = Stopwatch()
"""Decoding of video, of whatever stage."""
