"""What became of a batch: its rows, committed and counted."""

from collections import Counter
from collections.abc import Iterable

import pyarrow as pa
from hummingbird.core.masking import mask_text
from hummingbird.lake.lake import Lake
from hummingbird.lake.schemas import QUARANTINE

from hummingbird_data.runtime.metrics import count
from hummingbird_data.stage import Row


def commit(lake: Lake, batch_id: str, clips: list[Row], quarantined: list[Row]) -> None:
    """Commits the rows of a batch."""
    lake.commit_batch(
        batch_id,
        _table(clips, lake.schema("clips"), batch_id) if clips else None,
        _table(quarantined, QUARANTINE, batch_id) if quarantined else None,
    )


def _table(rows: list[Row], schema: pa.Schema, batch_id: str) -> pa.Table:
    full = [{name: row.get(name) for name in schema.names} | {"batch_id": batch_id} for row in rows]
    return pa.Table.from_pylist(full, schema=schema)


def failure(row: Row) -> Row:
    """The row of quarantine of a row that carries an error."""
    return {"source_uri": row["source_uri"], "stage": row["error_stage"], "error": mask_text(row["error"])}


def publish(clips: Iterable[Row], quarantined: Iterable[Row]) -> None:
    """What became of a batch, for the dashboard."""
    for row in clips:
        count("hummingbird_kept_clips", row["verdict"] == "kept")
        for reason in row["reasons"]:
            count("hummingbird_dropped_clips", 1, {"reason": reason})
    for row in quarantined:
        count("hummingbird_quarantined_files", 1, {"stage": row["stage"]})


def counts(clips: Iterable[Row]) -> dict[str, int]:
    """Clips by verdict and by reason."""
    by_outcome = Counter({"kept": 0, "dropped": 0})
    for row in clips:
        by_outcome.update([row["verdict"], *row["reasons"]])
    return by_outcome
