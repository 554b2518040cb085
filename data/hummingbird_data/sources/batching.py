"""How many files are committed together: as many as take a given time, whatever files they are."""

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from hummingbird_data.sources.source_batches import Source

_GROWTH = 4  # a batch is at most so many times the one before: the first files may be the small ones


class BatchSizer:
    """The size of the next batch.

    Args:
        seconds: from one commit to the next, about.
        first: files of the first batch.
        most: files of any.
    """

    def __init__(
        self, seconds: float, first: int, most: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.size = min(first, most)
        self._seconds, self._most, self._clock = seconds, most, clock
        self._last = clock()

    def done(self, files: int) -> None:
        """A batch of so many files is committed."""
        now = self._clock()
        spent, self._last = now - self._last, now
        wanted = self._most if spent <= 0 else int(files * self._seconds / spent)
        self.size = max(1, min(wanted, _GROWTH * files, self._most))


def batches(sources: Iterable[Source], sizer: BatchSizer) -> Iterator[list[Source]]:
    """The sources in order, as many together as ``sizer`` says at that moment."""
    waiting = iter(sources)
    while batch := list(islice(waiting, sizer.size)):
        yield batch
