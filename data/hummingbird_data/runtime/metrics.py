"""What of curation is counted (`hummingbird.core.metrics`), and how long parts of it take.

Workers count what passes through their stages; the driver counts what became of it.
"""

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from hummingbird.core.metrics import count

__all__ = ["Stopwatch", "count", "decoding"]

Item = TypeVar("Item")


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
