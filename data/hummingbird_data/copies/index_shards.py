"""The index of kept clips over actors, each with a share of them.

A clip lies in the shard that its id falls to, and a batch is asked of all shards at once: each compares embeddings,
hashes and pictures of its own clips, and the best answer counts, so that answers are those of one index. (Shares by
cell would ask fewer cells of each, but a clip lies in twelve: its row would stand in as many shards, or its vector
travel for each question.)
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import islice
from typing import Any, Self
from zlib import crc32

from hummingbird.core.files import AnyPath

from hummingbird_data.copies.duplicate_index import INDEX_COLUMNS, CopyMatch, DuplicateIndex
from hummingbird_data.copies.duplicates import CopyLimits
from hummingbird_data.stage import Row

log = logging.getLogger(__name__)

_CHUNK = 4096  # clips sent at once
_ASKED = 256  # rows of a question
_REBUILDS = 3  # of the index, after its actors died


class IndexShards:
    """The shards of an index; ``fill`` gives the kept clips, at first and when an actor was lost.

    Raises (all methods):
        RuntimeError: actors die time and again.
    """

    def __init__(
        self, limits: CopyLimits, storage: AnyPath, shards: int, fill: Callable[[], Iterable[Row]]
    ) -> None:
        self._limits, self._storage, self._shards = limits, storage, shards
        self._fill, self._rebuilds = fill, _REBUILDS
        self._actors: list[Any] = []
        self._waiting: list[Any] = []
        self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the actors."""
        import ray

        for actor in self._actors:
            ray.kill(actor)

    def add(self, rows: Iterable[Row]) -> None:
        """See `DuplicateIndex.add`."""
        rows = iter(rows)
        while chunk := list(islice(rows, _CHUNK)):
            shares: dict[int, list[Row]] = defaultdict(list)
            for row in chunk:
                shares[self._shard(row["clip_id"])].append({name: row[name] for name in INDEX_COLUMNS})
            self._settle()  # no more than a chunk waits: memory stays flat
            self._waiting = [self._actors[shard].add.remote(share) for shard, share in shares.items()]

    def remove(self, clip_ids: Iterable[str]) -> None:
        """See `DuplicateIndex.remove`."""
        shares: dict[int, list[str]] = defaultdict(list)
        for clip_id in clip_ids:
            shares[self._shard(clip_id)].append(clip_id)
        self._waiting += [self._actors[shard].remove.remote(share) for shard, share in shares.items()]

    def first_copies(
        self, rows: Sequence[Row], without: Collection[str] = frozenset()
    ) -> list[CopyMatch | None]:
        """See `DuplicateIndex.first_copies`."""
        import ray
        from ray.exceptions import RayActorError

        asked = [{name: row[name] for name in INDEX_COLUMNS} for row in rows]
        try:
            self._settle()
            answers = [
                ray.get([a.first_copies.remote(asked[at : at + _ASKED], without) for a in self._actors])
                for at in range(0, len(asked), _ASKED)
            ]
        except RayActorError as error:
            if not self._rebuilds:
                raise RuntimeError(f"the actors of the index of duplicates died again: {error}") from error
            self._rebuilds -= 1
            log.warning("an actor of the index of duplicates was lost: the index is built again")
            self.close()
            self._start()
            return self.first_copies(rows, without)
        return [
            min((match for match in of_row if match is not None), default=None)
            for shards in answers
            for of_row in zip(*shards, strict=True)
        ]

    def _start(self) -> None:
        self._actors = [_shard_actor().remote(self._limits, self._storage) for _ in range(self._shards)]
        self._waiting = []
        self.add(self._fill())

    def _settle(self) -> None:
        """Waits for changes on their way; raises what went wrong with them."""
        import ray

        ray.get(self._waiting)
        self._waiting = []

    def _shard(self, clip_id: str) -> int:
        return crc32(clip_id.encode()) % len(self._actors)


def _shard_actor() -> Any:
    import ray

    # No core is set aside: shards answer between the batches, while the cores read and score.
    return ray.remote(num_cpus=0, scheduling_strategy="SPREAD")(DuplicateIndex)
