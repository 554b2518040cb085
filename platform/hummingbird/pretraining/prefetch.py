"""Samples of coming steps, drawn by processes beside the training."""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from multiprocessing import get_context
from typing import TypeVar

import cv2

from hummingbird.training.data import Worker, read_ahead
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
    pool = ProcessPoolExecutor(processes, get_context("spawn"), initializer=cv2.setNumThreads, initargs=(1,))
    with read_ahead(draw, pool, AHEAD * processes) as read:
        yield read


def drawn_batches(
    draw: Callable[[int], Batch], processes: int, worker: Worker
) -> AbstractContextManager[Callable[[int], Batch]]:
    """A job's data, drawn as `prefetched` does; with others' numbers between, so that no two workers see the same."""
    return prefetched(partial(_draw_share, draw, worker.rank, worker.world), processes)


def _draw_share(draw: Callable[[int], Batch], rank: int, world: int, step: int) -> Batch:
    return draw(step * world + rank)
