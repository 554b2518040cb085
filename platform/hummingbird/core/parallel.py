"""Work shared out among processes of this machine, where Ray is more than is needed."""

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Each(Protocol):
    """``map`` with one sequence: results in the order of what they are of."""

    def __call__(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]: ...


def _here(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    return map(function, items)


@contextmanager
def spread(processes: int) -> Iterator[Each]:
    """``map`` over ``processes`` fresh processes, or, for 1, in this one.

    Functions and items must be such that processes can send them to each other. What a function raises is
    raised where its result is taken.
    """
    if processes == 1:
        yield _here
        return
    # Forked processes cannot use a GPU that this one has used.
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:

        def each(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
            return pool.map(function, items)

        yield each
