"""Work on the next item while the last one's result is in use."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from threading import Event, Thread
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_PATIENCE = 10.0  # seconds that work which is not wanted any more is waited for


class Begun:
    """Work that has begun, as it sees its caller: ``left``, once nobody waits for it, and it should end soon; it sets
    ``ending`` when so little is left to do that the next work may begin."""

    def __init__(self, left: Event) -> None:
        self.left, self.ending = left, Event()


@contextmanager
def ahead(
    work: Callable[[Item, Begun], Result], items: Iterable[Item]
) -> Iterator[Iterator[tuple[Item, Result]]]:
    """Each item with what ``work`` makes of it, in order. While the caller uses one, a thread works on the next.

    An error of ``work`` is raised when its item's turn has come. A caller that leaves early waits some seconds for
    what has begun.
    """
    left = Event()
    threads: list[Thread] = []

    def start(item: Item) -> tuple[Item, Begun, Future[Result]]:
        begun, made = Begun(left), Future[Result]()

        def run() -> None:
            try:
                made.set_result(work(item, begun))
            except BaseException as error:
                made.set_exception(error)
            finally:
                begun.ending.set()

        # A daemon: the interpreter would wait for any other thread before it ends.
        thread = Thread(target=run, daemon=True)
        threads[:] = [*threads[-1:], thread]
        thread.start()
        return item, begun, made

    def results() -> Iterator[tuple[Item, Result]]:
        waiting: tuple[Item, Begun, Future[Result]] | None = None
        for item in items:
            ready = waiting
            if ready:
                ready[1].ending.wait()
            waiting = start(item)
            if ready:
                yield ready[0], ready[2].result()
        if waiting:
            yield waiting[0], waiting[2].result()

    try:
        yield results()
    finally:
        left.set()
        for thread in threads:
            thread.join(_PATIENCE)
