"""What the table held when a run began: which batches are done, and which scores can be used again."""

import sqlite3
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import pyarrow as pa
from hummingbird.lake.lake import Lake

from hummingbird_data.plan import Plan
from hummingbird_data.sources import Source, Sources
from hummingbird_data.stage import Row

_TABLE = """
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    CREATE TABLE done (uri TEXT PRIMARY KEY, batch TEXT, key TEXT) WITHOUT ROWID;
"""


class Committed:
    """The sources of a run that the table holds, by name: on disk, however many; rows are read when wanted."""

    def __init__(self, lake: Lake, sources: Sources) -> None:
        self._lake, self._sources = lake, sources
        self._folder = tempfile.TemporaryDirectory(prefix="hummingbird-committed-")
        self._database = sqlite3.connect(Path(self._folder.name) / "committed.db")
        self._database.executescript(_TABLE)

    def __enter__(self) -> "Committed":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()
        self._folder.cleanup()

    def look(self) -> None:
        """Takes in what the table holds now."""
        self._database.execute("DELETE FROM done")
        for table in ("clips", "quarantine"):
            rows = self._lake.read(table)
            key = rows["scoring_key"] if table == "clips" else pa.nulls(rows.num_rows, pa.string())
            few = pa.table({"uri": rows["source_uri"], "batch": rows["batch_id"], "key": key})
            for batch in few.to_batches():
                found = [
                    (r["uri"], r["batch"], r["key"]) for r in batch.to_pylist() if r["uri"] in self._sources
                ]
                self._database.executemany("INSERT OR REPLACE INTO done VALUES (?, ?, ?)", found)

    def kept_of_others(self) -> list[Row]:
        """The kept clips of sources that are no part of this run, in order: they win over everything in it."""
        columns = ["clip_id", "source_uri", "start_seconds", "shot_index", "media_path", "content_hash"]
        kept = self._lake.read("clips", "verdict = 'kept'").select([*columns, "perceptual_hash"])
        others = [
            r
            for batch in kept.to_batches()
            for r in batch.to_pylist()
            if r["source_uri"] not in self._sources
        ]
        return sorted(others, key=order)

    def batch(self, batch_id: str, batch: list[Source]) -> tuple[list[Row], list[Row]] | None:
        """Clips and quarantine rows of a batch that is committed as it would be now, or None."""
        if any(self._of(source.uri)[0] != batch_id for source in batch):
            return None
        clips = self._lake.read("clips", f"batch_id = '{batch_id}'").to_pylist()
        return sorted(clips, key=order), self._lake.read("quarantine", f"batch_id = '{batch_id}'").to_pylist()

    def scored(self, batch: list[Source], plan: Plan) -> dict[str, list[Row]]:
        """By source, the clips whose scores (and captions) are what the plan would make again."""
        wanted: dict[str, set[str]] = defaultdict(set)
        for source in batch:
            batch_id, key = self._of(source.uri)
            if batch_id is not None and key == plan.source_key(source):
                wanted[batch_id].add(source.uri)
        found: dict[str, list[Row]] = defaultdict(list)
        for batch_id, uris in wanted.items():
            for row in self._lake.read("clips", f"batch_id = '{batch_id}'").to_pylist():
                if row["source_uri"] in uris:
                    found[row["source_uri"]].append(row)
        return dict(found)

    def scores(self) -> Iterator[Row]:
        """All clips of the run's sources that the table holds now."""
        for batch in self._lake.read("clips").to_batches():
            yield from (row for row in batch.to_pylist() if row["source_uri"] in self._sources)

    def _of(self, uri: str) -> tuple[str | None, str | None]:
        found = self._database.execute("SELECT batch, key FROM done WHERE uri = ?", (uri,)).fetchone()
        return found or (None, None)


def order(row: Row) -> tuple[str, float]:
    """The key of a clip: of near copies the one with the smallest is kept."""
    return row["source_uri"], row["start_seconds"]
