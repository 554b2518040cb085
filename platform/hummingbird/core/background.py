"""Something that is done every so often beside other work, in a thread of its own."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def every(seconds: float, act: Callable[[], object], name: str) -> Iterator[None]:
    """While open, ``act`` is called again and again, ``seconds`` after it returned last, and first after as many.

    Its error ends it and nothing else: it only watches.
    """
    stop = threading.Event()

    def repeat() -> None:
        while not stop.wait(seconds):
            act()

    thread = threading.Thread(target=repeat, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
