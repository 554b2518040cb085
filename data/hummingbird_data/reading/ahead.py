"""Work on the next item while the last one's result is in use."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from threading import Event, Thread
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_PATIENCE = 10.0  # seconds that work which is not wanted any more is waited for


class BackgroundTask:
    """What the work on an item sees of its caller, and tells it.

    Attributes:
        cancelled: nobody waits for the result any more; the work should end soon.
        nearly_done: set by the work when so little is left to do that the next may begin.
    """

    def __init__(self, cancelled: Event) -> None:
        self.cancelled, self.nearly_done = cancelled, Event()


@contextmanager
def ahead(
    work: Callable[[Item, BackgroundTask], Result], items: Iterable[Item]
) -> Iterator[Iterator[tuple[Item, Result]]]:
    """Each item with what ``work`` makes of it, in order. While the caller uses one, a thread works on the next.

    An error of ``work`` is raised when its item's turn has come. A caller that leaves early waits some seconds for
    what is at work.
    """
    cancelled = Event()
    threads: list[Thread] = []

    def start(item: Item) -> tuple[Item, BackgroundTask, Future[Result]]:
        task, result = BackgroundTask(cancelled), Future[Result]()

        def run() -> None:
            try:
                result.set_result(work(item, task))
            except BaseException as error:
                result.set_exception(error)
            finally:
                task.nearly_done.set()

        # A daemon: the interpreter would wait for any other thread before it ends.
        thread = Thread(target=run, daemon=True)
        threads[:] = [*threads[-1:], thread]
        thread.start()
        return item, task, result

    def results() -> Iterator[tuple[Item, Result]]:
        waiting: tuple[Item, BackgroundTask, Future[Result]] | None = None
        for item in items:
            ready = waiting
            if ready:
                ready[1].nearly_done.wait()
            waiting = start(item)
            if ready:
                yield ready[0], ready[2].result()
        if waiting:
            yield waiting[0], waiting[2].result()

    try:
        yield results()
    finally:
        cancelled.set()
        for thread in threads:
            thread.join(_PATIENCE)
