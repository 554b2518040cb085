"""Samples of coming steps, drawn by processes beside the training."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from multiprocessing import get_context
from typing import TypeVar

import cv2

from hummingbird.training.data import Worker
from hummingbird.training.latent_cache import Batch

T = TypeVar("T")

AHEAD = 2  # steps a process that are drawn before they are asked for


@contextmanager
def prefetched(draw: Callable[[int], T], processes: int) -> Iterator[Callable[[int], T]]:
    """``draw``, step for step the same, but drawn ahead by ``processes`` (0: none; steps are drawn when asked for).

    Args:
        draw: what a step sees, given its number; must be a function that other processes can import.
    """
    if not processes:
        yield draw
        return
    # A fork of a process with threads (torch) may hang.
    context = get_context("spawn")
    with ProcessPoolExecutor(processes, context, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        coming: dict[int, Future[T]] = {}

        def next_batch(step: int) -> T:
            for later in range(step, step + AHEAD * processes):
                if later not in coming:
                    coming[later] = pool.submit(draw, later)
            return coming.pop(step).result()

        try:
            yield next_batch
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def drawn_batches(
    draw: Callable[[int], Batch], processes: int, worker: Worker
) -> AbstractContextManager[Callable[[int], Batch]]:
    """A job's data, drawn as `prefetched` does; with others' numbers between, so that no two workers see the same."""
    return prefetched(partial(_draw_share, draw, worker.rank, worker.world), processes)


def _draw_share(draw: Callable[[int], Batch], rank: int, world: int, step: int) -> Batch:
    return draw(step * world + rank)
