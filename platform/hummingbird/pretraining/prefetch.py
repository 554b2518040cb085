"""Samples of coming steps, drawn by processes beside the training."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import TypeVar

import cv2

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
