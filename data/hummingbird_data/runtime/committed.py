"""What the table held when a pass began: which sources are done, and which scores can be used again."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
from hummingbird.lake.lake import Lake
from numpy.typing import NDArray

from hummingbird_data.copies.duplicate_index import INDEX_COLUMNS
from hummingbird_data.curation_plan import CurationPlan
from hummingbird_data.runtime.temporary import TemporaryDatabase
from hummingbird_data.sources.source_batches import Source, Sources, batch_prefix
from hummingbird_data.stage import Row

_TABLES = """
    CREATE TABLE done (uri TEXT PRIMARY KEY, batch TEXT, key TEXT) WITHOUT ROWID;
    CREATE TABLE copy (uri TEXT PRIMARY KEY) WITHOUT ROWID;
"""
_CAPTIONED = "caption_model is not null and (caption_problem is null or caption_problem = 'repeated')"
_AGAIN = ("fetch", "captions")
"""Stages whose failures may be those of a moment or of the captioner: tried again when their files are judged again."""


class CommittedSources(TemporaryDatabase):
    """The sources of a run that the table holds, by name: on disk, however many; rows are read when wanted."""

    def __init__(self, lake: Lake, sources: Sources) -> None:
        super().__init__(_TABLES)
        self._lake, self._sources = lake, sources

    def look(self, plan: CurationPlan) -> None:
        """Takes in what the table holds now.

        Where a file has changed, the copies of what it held may be copies no more: those that have one count as not
        done.
        """
        self.database.executescript("DELETE FROM done; DELETE FROM copy;")
        for table in ("clips", "quarantine"):
            for few in self._lake.batches(table, columns=["source_uri", "batch_id", "scoring_key"]):
                values = set(zip(*(few[name].to_pylist() for name in few.schema.names), strict=True))
                own = (row for row in values if row[0] in self._sources)
                self.database.executemany("INSERT OR REPLACE INTO done VALUES (?, ?, ?)", own)
        if not any(self._has_changed(source, plan) for source in self._sources):
            return
        for row in self._rows("clips", "verdict = 'dropped'", ["source_uri", "reasons"]):
            if "duplicate" in row["reasons"]:
                self.database.execute("INSERT OR IGNORE INTO copy VALUES (?)", (row["source_uri"],))

    def _has_changed(self, source: Source, plan: CurationPlan) -> bool:
        batch_id, key = self._of(source)
        return (batch_id or "").startswith(batch_prefix(plan.key)) and key != plan.source_key(source)

    def holds(self, source: Source, plan: CurationPlan) -> bool:
        """Whether a source is committed as it would be now: read, scored and judged by the same."""
        batch_id, key = self._of(source)
        if batch_id is None or not batch_id.startswith(batch_prefix(plan.key)):
            return False
        copy = self.database.execute("SELECT 1 FROM copy WHERE uri = ?", (source.uri,)).fetchone()
        return copy is None and key == plan.source_key(source)

    def stands(self, row: Row, plan: CurationPlan) -> bool:
        """Whether a clip's verdict is the plan's own: its file and all that it was judged by are the same."""
        if not row["batch_id"].startswith(batch_prefix(plan.key)):
            return False
        source = self._sources.get(row["source_uri"])
        return source is not None and row["scoring_key"] == plan.source_key(source)

    def winners(self, plan: CurationPlan) -> Iterator[Row]:
        """The kept clips that stay whatever else this run finds: of other sources, and those that stand."""
        columns = [*INDEX_COLUMNS, "batch_id", "scoring_key"]
        for row in self._rows("clips", "verdict = 'kept'", columns):
            if row["source_uri"] not in self._sources or self.stands(row, plan):
                yield row

    def captions(self, plan: CurationPlan) -> Iterator[Row]:
        """``clip_id``, ``caption`` and ``embedding`` of the run's clips with a caption of its captioner, in order."""
        columns = ["source_uri", "start_seconds", "clip_id", "caption", "embedding", "scoring_key"]
        with TemporaryDatabase(
            "CREATE TABLE caption (uri TEXT, start REAL, clip TEXT, caption TEXT, embedding TEXT)"
        ) as sorted_captions:
            for row in self._rows("clips", _CAPTIONED, columns):
                source = self._sources.get(row["source_uri"])
                if source is not None and row["scoring_key"] == plan.source_key(source):
                    sorted_captions.database.execute(
                        "INSERT INTO caption VALUES (?, ?, ?, ?, ?)", [row[name] for name in columns[:5]]
                    )
            for clip_id, caption, embedding in sorted_captions.database.execute(
                "SELECT clip, caption, embedding FROM caption ORDER BY uri, start"
            ):
                yield {"clip_id": clip_id, "caption": caption, "embedding": embedding}

    def unscored(self, batch: Sequence[Source], plan: CurationPlan) -> list[Source]:
        """The sources that the table has neither scores of nor a failure, with these settings and models."""
        return [source for source in batch if self._of(source)[1] != plan.source_key(source)]

    def scored(
        self, batch: Sequence[Source], plan: CurationPlan
    ) -> tuple[dict[str, list[Row]], dict[str, Row]]:
        """What the plan would make again, by source: clips with scores (and captions), or a row of quarantine."""
        wanted: dict[str, set[str]] = defaultdict(set)
        for source in batch:
            batch_id, key = self._of(source)
            if batch_id is not None and key == plan.source_key(source):
                wanted[batch_id].add(source.uri)
        clips: dict[str, list[Row]] = defaultdict(list)
        failures: dict[str, Row] = {}
        for batch_id, uris in wanted.items():
            where = f"batch_id = '{batch_id}'"
            for row in self._rows("clips", where):
                if row["source_uri"] in uris:
                    clips[row["source_uri"]].append(row)
            for row in self._rows("quarantine", where):
                if row["source_uri"] in uris and row["stage"] not in _AGAIN:
                    failures[row["source_uri"]] = row
        return dict(clips), failures

    def scores(self, columns: Sequence[str]) -> Iterator[dict[str, NDArray[np.float64]]]:
        """Columns of scores of all clips of the run's sources that the table holds now, without what is null."""
        for batch in self._lake.batches("clips", columns=["source_uri", *columns]):
            own = batch.filter(pa.array([uri in self._sources for uri in batch["source_uri"].to_pylist()]))
            yield {
                name: own[name].drop_null().to_numpy(zero_copy_only=False).astype(np.float64)
                for name in columns
            }

    def counts(self) -> Counter[str]:
        """What became of the run's sources: clips by verdict and by reason, and files in quarantine."""
        counts: Counter[str] = Counter(kept=0, dropped=0, quarantined=0)
        for row in self._rows("clips", None, ["source_uri", "verdict", "reasons"]):
            if row["source_uri"] in self._sources:
                counts.update([row["verdict"], *row["reasons"]])
        for row in self._rows("quarantine", None, ["source_uri"]):
            counts["quarantined"] += row["source_uri"] in self._sources
        return counts

    def without_caption(self) -> int:
        """Kept clips of the run that have no caption."""
        rows = self._rows("clips", "verdict = 'kept' and caption is null", ["source_uri"])
        return sum(row["source_uri"] in self._sources for row in rows)

    def _rows(self, table: str, where: str | None, columns: Sequence[str] | None = None) -> Iterator[Row]:
        for batch in self._lake.batches(table, where, columns=columns):
            yield from batch.to_pylist()

    def _of(self, source: Source) -> tuple[str | None, str | None]:
        row = self.database.execute("SELECT batch, key FROM done WHERE uri = ?", (source.uri,)).fetchone()
        return row or (None, None)


def order(row: Row) -> tuple[str, float]:
    """The key of a clip: of near copies the one with the smallest is kept."""
    return row["source_uri"], row["start_seconds"]
