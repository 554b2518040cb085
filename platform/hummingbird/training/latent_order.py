"""The order in which a worker sees the samples of a cache: every step of one shape, shuffled as far as memory goes."""

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hummingbird.core.errors import InputError
from hummingbird.training.latent_cache import LatentCache

log = logging.getLogger(__name__)

Numbers = NDArray[np.int64]


class Shard:
    """One worker's share of the samples: every ``world``-th of each bucket, in a new order each epoch.

    What a step sees depends on seed, rank and step alone, so a resumed run sees what an unbroken one would. The shares
    of two workers have no sample in common. All workers see the same bucket at a step, so that none waits for another's
    larger samples. Parts are drawn at random, as many as fit the cache's memory, and their samples shuffled; a
    part is then read once an epoch. Where the whole cache fits, all samples are shuffled.

    Args:
        batch_size: samples a step and worker.
        seed: of the order.
        left_out: samples that no worker sees.

    Raises:
        InputError: no bucket has as many samples as there are workers.
    """

    def __init__(
        self,
        cache: LatentCache,
        rank: int,
        world: int,
        seed: int,
        batch_size: int,
        left_out: Sequence[int] = (),
    ) -> None:
        if len(cache) - len(left_out) < world:
            raise InputError(
                f"{len(cache) - len(left_out)} samples cannot be shared among {world} workers: use fewer "
                "training.workers"
            )
        self._cache, self._batch, self._rank, self._world, self._seed = cache, batch_size, rank, world, seed
        self._parts = [
            np.array([number for number, part in enumerate(cache.parts) if part.bucket == bucket])
            for bucket in range(len(cache.shapes))
        ]
        seen = [
            np.setdiff1d(self._samples(parts), left_out) if len(parts) else np.zeros(0, np.int64)
            for parts in self._parts
        ]
        counts = [len(samples) for samples in seen]
        self._own = [samples[rank::world] for samples in seen]
        self._buckets = [bucket for bucket, count in enumerate(counts) if count >= world]
        if not self._buckets:
            raise InputError(
                f"no size of samples has as many as there are workers ({world}; there are {counts}): use fewer "
                "training.workers or encode.buckets"
            )
        if rank == 0 and (lost := sum(counts) - sum(counts[bucket] for bucket in self._buckets)):
            log.warning("%d samples of rare sizes, fewer than workers, are left out", lost)
        rounds = [[bucket] * max(1, round(counts[bucket] / world / batch_size)) for bucket in self._buckets]
        self._schedule = np.random.default_rng((seed, len(rounds))).permutation(
            [bucket for steps in rounds for bucket in steps]
        )
        self._epochs: dict[int, tuple[int, Numbers]] = {}

    def indices(self, step: int) -> list[int]:
        """The samples of a step, counted from 0: all of one bucket."""
        turns, place = divmod(step, len(self._schedule))
        bucket = int(self._schedule[place])
        before = turns * int((self._schedule == bucket).sum()) + int((self._schedule[:place] == bucket).sum())
        size = len(self._own[bucket])
        places = range(before * self._batch, (before + 1) * self._batch)
        return [int(self._order(bucket, at // size)[at % size]) for at in places]

    def _order(self, bucket: int, epoch: int) -> Numbers:
        """The worker's samples of a bucket as an epoch has them."""
        if self._epochs.get(bucket, (-1,))[0] != epoch:
            own, parts = self._own[bucket], self._parts[bucket]
            draw = np.random.default_rng((self._seed, self._rank, epoch, *([bucket] if bucket else [])))
            sizes = np.array([self._cache.parts[part].bytes for part in parts])
            room = self._cache.memory // (2 * len(self._buckets))  # the next ones are read beside these
            if sizes.sum() <= room:
                order = draw.permutation(own)
            else:
                drawn = draw.permutation(len(parts))
                windows = (np.cumsum(sizes[drawn]) - sizes[drawn]) // max(room, 1)
                order = np.concatenate(
                    [
                        draw.permutation(np.intersect1d(self._samples(parts[drawn[windows == window]]), own))
                        for window in np.unique(windows)
                    ]
                )
            self._epochs[bucket] = epoch, order
        return self._epochs[bucket][1]

    def _samples(self, parts: NDArray[np.int64]) -> Numbers:
        return np.concatenate([np.arange(*self._span(int(part))) for part in parts])

    def _span(self, part: int) -> tuple[int, int]:
        samples = self._cache.samples_of(part)
        return samples.start, samples.stop
