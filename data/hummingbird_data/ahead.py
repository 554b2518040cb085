"""Work on the next item while the last one's result is in use."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from threading import Event, Thread
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_PATIENCE = 10.0  # seconds that work which is not wanted any more is waited for


@contextmanager
def ahead(
    work: Callable[[Item, Event], Result], items: Iterable[Item]
) -> Iterator[Iterator[tuple[Item, Result]]]:
    """Each item with what ``work`` makes of it, in order. While the caller uses one, a thread works on the next.

    An error of ``work`` is raised when its item's turn has come. ``work`` should end soon when its event is set: the
    caller has left, and waits some seconds for it.
    """
    left = Event()
    begun: list[Thread] = []

    def start(item: Item) -> Future[Result]:
        made: Future[Result] = Future()

        def run() -> None:
            try:
                made.set_result(work(item, left))
            except BaseException as error:
                made.set_exception(error)

        # A daemon: the interpreter would wait for any other thread before it ends.
        begun[:] = [Thread(target=run, daemon=True)]
        begun[0].start()
        return made

    def results() -> Iterator[tuple[Item, Result]]:
        waiting: tuple[Item, Future[Result]] | None = None
        for item in items:
            ready = waiting and (waiting[0], waiting[1].result())  # one piece of work at a time
            waiting = item, start(item)
            if ready:
                yield ready
        if waiting:
            yield waiting[0], waiting[1].result()

    try:
        yield results()
    finally:
        left.set()
        for thread in begun:
            thread.join(_PATIENCE)
