"""Work on the next item while the last one's result is in use."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def ahead(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[tuple[Item, Result]]:
    """Each item with what ``work`` makes of it, in order. While the caller uses one, a thread works on the next.

    An error of ``work`` is raised when its item's turn has come. A caller that leaves early does not wait for work
    that has begun.
    """
    waiting: tuple[Item, Future[Result]] | None = None
    for item in items:
        ready = waiting and (waiting[0], waiting[1].result())  # one piece of work at a time
        waiting = item, _start(work, item)
        if ready:
            yield ready
    if waiting:
        yield waiting[0], waiting[1].result()


def _start(work: Callable[[Item], Result], item: Item) -> Future[Result]:
    made: Future[Result] = Future()

    def run() -> None:
        try:
            made.set_result(work(item))
        except BaseException as error:
            made.set_exception(error)

    # Not an executor's: the interpreter would wait for its threads before it ends.
    Thread(target=run, daemon=True).start()
    return made
