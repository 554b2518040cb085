"""Which clips of a batch copy kept ones: asked of the index at once, and kept apart until the batch is judged."""

from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from hummingbird.core.files import AnyPath

from hummingbird_data.copies.duplicate_index import CopyMatch, DuplicateIndex
from hummingbird_data.copies.duplicates import CopyLimits
from hummingbird_data.stage import Row


class KeptClips(Protocol):
    """An index of kept clips: `hummingbird_data.copies.duplicate_index` or `hummingbird_data.copies.index_shards`."""

    def add(self, rows: Iterable[Row]) -> None: ...

    def remove(self, clip_ids: Iterable[str]) -> None: ...

    def first_copies(
        self, rows: Sequence[Row], without: Collection[str] = frozenset()
    ) -> list[CopyMatch | None]: ...


class BatchCopies:
    """The index with what a batch adds to it and takes away. Used as a context; the index gets both in the end."""

    def __init__(self, kept: KeptClips, rows: Sequence[Row], limits: CopyLimits, storage: AnyPath) -> None:
        self._kept = kept
        self._copies = dict(zip((row["clip_id"] for row in rows), kept.first_copies(rows), strict=True))
        self._own = DuplicateIndex(limits, storage)
        self._added: dict[str, Row] = {}
        self._removed: set[str] = set()

    def __enter__(self) -> "BatchCopies":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._own.close()
        if kind is None:
            self._kept.remove(self._removed)
            self._kept.add(self._added.values())

    def find(self, row: Row) -> str | None:
        """The ``clip_id`` of the kept clip that ``row`` copies, or None."""
        clip_id = row["clip_id"]
        known = self._copies[clip_id]
        if known is not None and known.clip_id in self._removed:
            [known] = self._kept.first_copies([row], self._removed)
        [own] = self._own.first_copies([row])
        first = min((match for match in (known, own) if match is not None), default=None)
        return None if first is None else first.clip_id

    def add(self, row: Row) -> None:
        """Adds a kept clip."""
        self._own.add([row])
        self._added[row["clip_id"]] = row

    def remove(self, clip_ids: Collection[str]) -> None:
        """Takes out clips that were not kept after all."""
        self._own.remove(clip_ids)
        self._removed.update(clip_ids)
        for clip_id in clip_ids:
            self._added.pop(clip_id, None)
