"""The index of kept clips: which of them a new clip copies.

Three keys, from cheap to dear:

- the hash of the content finds exact copies (a B-tree);
- the embedding finds clips that look alike: locality-sensitive hashing, 12 tables of 12 random projections cut
  into cells. A clip is written into its cell of each table, and looked for there and in the 24 cells beside it;
  what is found counts if it lies within a radius. The projections are fixed, so neither the order of insertion
  nor what else the index holds changes what is found (it would in a graph of neighbors or a trained clustering);
- the perceptual hash, then the pictures themselves (`hummingbird_data.copies.likeness`), decide.

It lies in a temporary SQLite file, and is filled from the table ``clips`` one data file at a time: memory stays
flat. No answer needs all clips in one place, so that it splits over actors (`hummingbird_data.copies.index_shards`).
"""

from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

import numpy as np
from hummingbird.core.files import AnyPath
from numpy.typing import NDArray

from hummingbird_data.copies.duplicates import CopyLimits, near
from hummingbird_data.copies.embedding import SIZE, Vectors, distances, vectors
from hummingbird_data.copies.likeness import Thumbnails, likeness, thumbnails
from hummingbird_data.reading.clip_frames import clip_frames
from hummingbird_data.runtime.temporary import TemporaryDatabase
from hummingbird_data.stage import Row

INDEX_COLUMNS = (
    "clip_id", "source_uri", "start_seconds", "shot_index", "media_path", "content_hash", "perceptual_hash",
    "embedding",
)  # fmt: skip
"""What the index needs of a row."""

_TABLES = """
    PRAGMA cache_size = -65536;
    CREATE TABLE clip (
        number INTEGER PRIMARY KEY, clip_id TEXT UNIQUE, source_uri TEXT, start_seconds REAL, shot_index INTEGER,
        media_path TEXT, content_hash TEXT, perceptual_hash TEXT, embedding TEXT
    );
    CREATE INDEX content ON clip (content_hash);
    CREATE TABLE cell (key INTEGER, number INTEGER, PRIMARY KEY (key, number)) WITHOUT ROWID;
"""
_SELECT = f"SELECT {', '.join(INDEX_COLUMNS)} FROM clip "
_CHUNK = 4096  # clips in memory at once
# Of 900 copies none was missed in the shapes world, whose copies are at most 32 apart; other clips are 81 apart in
# the middle, and 1.3 % of pairs are nearer than the radius.
_CELLS_TABLES, _PROJECTIONS, _WIDTH = 12, 12, 100.0
_RADIUS = 45.0
_CLOSE = 15.0  # so near, pictures are compared whatever their hashes say: a crop turns the bits of a regular background


class CopyMatch(NamedTuple):
    """A kept clip that another one copies; of several the smallest counts: an exact copy, then the first in order."""

    inexact: bool
    source_uri: str
    start_seconds: float
    clip_id: str


class DuplicateIndex(TemporaryDatabase):
    """Kept clips, of this run and of the table; see the module for how they are found.

    Rows without an embedding (of a table older than the column) are found by their content alone.
    """

    def __init__(self, limits: CopyLimits, storage: AnyPath) -> None:
        super().__init__(_TABLES)
        self.limits, self.storage = limits, storage
        self._cells = _Cells()
        # 64 clips, 12 MB: what is compared lies in the same few batches.
        self._pictures = lru_cache(maxsize=64)(self._read_pictures)

    def __len__(self) -> int:
        return int(self.database.execute("SELECT count(*) FROM clip").fetchone()[0])

    def add(self, rows: Iterable[Row]) -> None:
        """Adds kept clips: rows with `INDEX_COLUMNS`. One that is there already is left as it is."""
        rows = iter(rows)
        while chunk := list(islice(rows, _CHUNK)):
            insert = (
                f"INSERT OR IGNORE INTO clip ({', '.join(INDEX_COLUMNS)}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
            )
            added = []
            for row in chunk:
                done = self.database.execute(insert, [row[column] for column in INDEX_COLUMNS])
                if done.rowcount and row["embedding"] is not None:
                    added.append((done.lastrowid, row["embedding"]))
            keys = self._cells.of(vectors([text for _, text in added]))
            self.database.executemany(
                "INSERT OR IGNORE INTO cell VALUES (?, ?)",
                (
                    (int(key), number)
                    for (number, _), of_clip in zip(added, keys, strict=True)
                    for key in of_clip
                ),
            )

    def remove(self, clip_ids: Iterable[str]) -> None:
        """Takes out clips that were not kept after all; others are passed over."""
        for clip_id in clip_ids:
            found = self.database.execute("SELECT number, embedding FROM clip WHERE clip_id = ?", (clip_id,))
            for number, text in found.fetchall():
                keys = self._cells.of(vectors([text]))[0] if text is not None else ()
                self.database.executemany(
                    "DELETE FROM cell WHERE key = ? AND number = ?", ((int(key), number) for key in keys)
                )
                self.database.execute("DELETE FROM clip WHERE number = ?", (number,))

    def first_copies(
        self, rows: Iterable[Row], without: Collection[str] = frozenset()
    ) -> list[CopyMatch | None]:
        """For each row the kept clip that it copies, or None; clips ``without`` do not count.

        Neighbors from one shot look alike without being copies: of them only exact copies count.
        """
        return [self._first_copy(row, without) for row in rows]

    def _first_copy(self, row: Row, without: Collection[str]) -> CopyMatch | None:
        for clip_id, uri, start in self.database.execute(
            "SELECT clip_id, source_uri, start_seconds FROM clip WHERE content_hash = ? AND clip_id != ? "
            "ORDER BY source_uri, start_seconds",
            (row["content_hash"], row["clip_id"]),
        ):
            if clip_id not in without:
                return CopyMatch(False, uri, start, clip_id)
        alike = (known for known in self._alike(row) if known["clip_id"] not in without)
        for known in sorted(alike, key=lambda r: (r["source_uri"], r["start_seconds"])):
            score = likeness(self._pictures(known["media_path"]), self._pictures(row["media_path"]))
            if score >= self.limits.likeness:
                return CopyMatch(True, known["source_uri"], known["start_seconds"], known["clip_id"])
        return None

    def _alike(self, row: Row) -> Iterator[Row]:
        """Clips near by embedding and by hash, but for those of the same shot."""
        if row["embedding"] is None:
            return
        [vector] = vectors([row["embedding"]])
        keys = self._cells.around(vector)
        marks = ", ".join("?" * len(keys))
        cursor = self.database.execute(
            "SELECT number, perceptual_hash, embedding FROM clip "
            f"WHERE number IN (SELECT number FROM cell WHERE key IN ({marks}))",
            keys,
        )
        while chunk := cursor.fetchmany(_CHUNK):
            numbers, hashes, texts = zip(*chunk, strict=True)
            apart = distances(vector, vectors(texts))
            within = np.flatnonzero(apart <= _RADIUS)
            alike = near(row["perceptual_hash"], [hashes[at] for at in within], self.limits)
            for at in within[alike | (apart[within] <= _CLOSE)]:
                known = self.database.execute(f"{_SELECT} WHERE number = ?", (numbers[at],)).fetchone()
                clip = dict(zip(INDEX_COLUMNS, known, strict=True))
                of_shot = all(clip[name] == row[name] for name in ("source_uri", "shot_index"))
                if clip["clip_id"] != row["clip_id"] and not of_shot:
                    yield clip

    def _read_pictures(self, media_path: str) -> Thumbnails:
        return thumbnails(clip_frames({"storage": str(self.storage), "media_path": media_path})[0])


class _Cells:
    """The cells that vectors lie in, as numbers of 63 bits."""

    def __init__(self) -> None:
        draw = np.random.default_rng(0)  # fixed: the same cells in every process
        wide = _CELLS_TABLES * _PROJECTIONS
        self._directions = draw.standard_normal((SIZE, wide)) / _WIDTH
        self._offsets = draw.uniform(0, 1, wide)
        # A cell's number is a sum over its coordinates, so that of the cell beside it is one term away.
        self._factors = draw.integers(1, 2**63, (_CELLS_TABLES, _PROJECTIONS), dtype=np.uint64)
        self._tables = draw.integers(1, 2**63, _CELLS_TABLES, dtype=np.uint64)

    def of(self, points: Vectors) -> NDArray[np.int64]:
        """The cell of each of ``points`` (N, 192) in each table, (N, 12)."""
        return _positive(self._sums(points))

    def around(self, point: Vectors) -> list[int]:
        """The cells of one point (192,), and those beside them."""
        own = self._sums(point[None])[0]
        beside = np.stack([own[:, None] + self._factors, own[:, None] - self._factors])
        return [int(key) for key in _positive(np.concatenate([own, beside.ravel()]))]

    def _sums(self, points: Vectors) -> NDArray[np.uint64]:
        places = np.floor(points.astype(np.float64) @ self._directions + self._offsets).astype(np.int64)
        terms = places.reshape(-1, _CELLS_TABLES, _PROJECTIONS).astype(np.uint64) * self._factors
        sums: NDArray[np.uint64] = terms.sum(-1, dtype=np.uint64) + self._tables
        return sums


def _positive(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """SQLite's integers have a sign."""
    return (keys >> np.uint64(1)).astype(np.int64)
