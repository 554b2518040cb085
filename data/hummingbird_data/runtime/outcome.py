"""What became of a batch: its rows, committed and counted."""

import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow as pa
from hummingbird.core.files import AnyPath
from hummingbird.core.masking import mask_text
from hummingbird.core.shared_folder import NotSharedError, SharedFolder
from hummingbird.lake.lake import Lake
from hummingbird.lake.schemas import QUARANTINE

from hummingbird_data.runtime.metrics import count
from hummingbird_data.stage import Row


def check_media(storage: AnyPath, scored: Mapping[str, Iterable[Row]]) -> None:
    """Whether the files of clips that were just made, by source, are in a storage folder as this machine sees it.

    Raises:
        NotSharedError: they are not; nothing of the batch may be committed.
    """
    if not isinstance(storage, Path):
        return
    paths = {row["media_path"] for rows in scored.values() for row in rows if not row.get("error")}
    missing = sorted(path for path in paths if not (storage / path).is_file())
    if missing:
        shared = SharedFolder.mark(storage)
        if shared is not None and "ray" in sys.modules and sys.modules["ray"].is_initialized():
            shared.check_nodes()  # which knows the node's name
        raise NotSharedError(
            f"{len(missing)} clips that a node has stored are not in {storage} ({missing[0]}, ...): every node must "
            "see the same folder there; nothing of them was committed"
        )


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
