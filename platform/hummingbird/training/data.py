"""Where a training's batches come from: what a job names and every worker opens."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import torch

from hummingbird.core.files import AnyPath
from hummingbird.training.latent_cache import Batch, BatchReader, LatentCache, Shard


@dataclass(frozen=True)
class Worker:
    """Which worker this is."""

    rank: int
    world: int
    device: torch.device


DataSource = Callable[[Worker], AbstractContextManager[Callable[[int], Batch]]]
"""Opened by a worker, it gives the batch of a step, from 0, on the worker's device. A batch must depend on the step and
the worker alone: a run that was cut off then sees what an unbroken one sees."""


@contextmanager
def cached_latents(
    folder: AnyPath, batch_size: int, seed: int, worker: Worker
) -> Iterator[Callable[[int], Batch]]:
    """A cache of latents, shared out among the workers; see `LatentCache.load` for what a batch holds.

    Args:
        batch_size: samples a step and worker.
        seed: of the order.

    Raises:
        InputError: the folder is no cache, or it holds fewer samples than there are workers.
    """
    cache = LatentCache(folder)
    shard = Shard(len(cache), worker.rank, worker.world, seed)
    with BatchReader(cache, shard, batch_size, worker.device) as reader:
        yield reader.read
