"""A polite kill (SIGTERM) ends as Ctrl-C does, but what must be written is written first.

Ray kills a stopped job three seconds after SIGTERM, while pipelines and workers may take longer to end.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

_callbacks: list[Callable[[], None]] = []
_threads: list[threading.Thread] = []


def interrupt_on_termination() -> None:
    """From now on SIGTERM raises KeyboardInterrupt in the main thread, after `first` has begun elsewhere."""
    signal.signal(signal.SIGTERM, _interrupt)


@contextmanager
def first(callback: Callable[[], None]) -> Iterator[None]:
    """While open, SIGTERM calls ``callback`` in a thread of its own: the main one may hold any lock."""
    _callbacks.append(callback)
    try:
        yield
    finally:
        _callbacks.remove(callback)


def finish() -> None:
    """Waits for what SIGTERM has begun."""
    while _threads:
        _threads.pop().join()


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    for callback in reversed(_callbacks):
        thread = threading.Thread(target=callback, name="interruption")
        _threads.append(thread)
        thread.start()
    raise KeyboardInterrupt
