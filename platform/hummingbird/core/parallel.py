"""Work for several processes of this machine, where Ray is more than is needed."""

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class ParallelMap(Protocol):
    """``map`` with one sequence: results in the order of its items."""

    def __call__(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]: ...


def _map_here(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    return map(function, items)


@contextmanager
def parallel_map(processes: int) -> Iterator[ParallelMap]:
    """``map`` over ``processes`` fresh processes, or, for 1, in this one.

    Functions and items must be such that processes can send them to each other. What a function raises is
    raised where its result is taken.
    """
    if processes == 1:
        yield _map_here
        return
    # Forked processes cannot use a GPU that this one has used.
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:

        def map_in_pool(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
            return pool.map(function, items)

        yield map_in_pool
