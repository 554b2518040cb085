"""Where a training's batches come from: what a job names and every worker opens."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from hummingbird.core.files import AnyPath
from hummingbird.training.latent_cache import Batch, LatentCache, to_device
from hummingbird.training.latent_order import Shard

T = TypeVar("T")


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
def read_ahead(load: Callable[[int], T], executor: Executor, ahead: int) -> Iterator[Callable[[int], T]]:
    """``load``, step for step the same, but the next ``ahead`` steps are begun when a step is asked for.

    Args:
        executor: runs ``load``; it is shut down in the end.
    """
    coming: dict[int, Future[T]] = {}

    def read(step: int) -> T:
        for later in range(step, step + ahead + 1):
            if later not in coming:
                coming[later] = executor.submit(load, later)
        return coming.pop(step).result()

    try:
        yield read
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


@contextmanager
def cached_latents(
    folder: AnyPath,
    batch_size: int,
    seed: int,
    worker: Worker,
    num_frames: int | None = None,
    left_out: Sequence[int] = (),
) -> Iterator[Callable[[int], Batch]]:
    """A cache of latents, shared out among the workers; see `LatentCache.load` for what a batch holds.

    A batch is of one size of samples.

    Args:
        batch_size: samples a step and worker.
        seed: of the order.
        num_frames: of a sample, from its first; none: all, also where a sample has fewer.
        left_out: samples that are not trained on.

    Raises:
        InputError: the folder is no cache, or it holds fewer samples than there are workers.
    """
    cache = LatentCache(folder)
    shard = Shard(cache, worker.rank, worker.world, seed, batch_size, left_out)

    def load(step: int) -> Batch:
        batch = cache.load(shard.indices(step))
        batch["latents"] = batch["latents"][
            :, :, :num_frames
        ].contiguous()  # each frame was encoded by itself
        if worker.device.type != "cuda":
            return batch
        return {name: rows.pin_memory() if isinstance(rows, Tensor) else rows for name, rows in batch.items()}

    with read_ahead(load, ThreadPoolExecutor(1, "batch reader"), 1) as read:
        yield lambda step: to_device(read(step), worker.device)
