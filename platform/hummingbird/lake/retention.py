"""Which snapshots of the tables stay: those that something names, and the newest.

Iceberg's metadata lists all snapshots, is written anew with each commit, and pyiceberg copies it some eighty times a
batch: kept for good, the states between batches would make each commit slower than the last. Nobody learns from
those. What a run or a model names has a tag, and stays.

Data files and lists of manifests are left where they are: a reader that has just begun may still want them.
"""

import time
from collections.abc import Callable, Iterator, Sequence

from pyiceberg.catalog import Catalog
from pyiceberg.expressions import BooleanExpression, GreaterThan, In, NotNull
from pyiceberg.table import Table
from pyiceberg.table.update import AssertTableUUID, RemoveSnapshotsUpdate

from hummingbird.lake.schemas import TABLES, TableName

NEWEST = 50
"""States of the data that stay, named or not: time enough for a job that asked for the current one to name it."""
PENDING = "pending"
"""How branches begin on which batches are written; a writer without a lock has one of its own."""
EXPIRE_INTERVAL = 25
"""Batches from one clean-up to the next."""
_ROWS_NEWEST = 10  # snapshots of `runs` and `models`, which nobody can name
_BRANCH_SECONDS = 86400.0
_VALUES = 200  # beyond as many, pyiceberg reads every file for an "in"

Tables = Callable[[TableName], Table]


def name_snapshot(table: Table, snapshot_id: int) -> None:
    """Tags a snapshot of clips, so that no clean-up, of ours or another tool's, takes it away."""
    tag = f"named-{snapshot_id}"
    if tag not in table.metadata.refs and table.snapshot_by_id(snapshot_id) is not None:
        table.manage_snapshots().create_tag(snapshot_id, tag).commit()


def expire(catalog: Catalog, table: Tables, sequence: int) -> None:
    """Takes the snapshots away that nothing names, but for those of the last `NEWEST` batches.

    Args:
        catalog: of the tables.
        table: loads one.
        sequence: of the newest batch.
    """
    for name in ("clips", "quarantine"):
        _remove_left_branches(table(name))
    clips, quarantine, runs, models = (table(name) for name in TABLES)
    # What was named before there were tags has none.
    named = _referred(clips) | _values(runs, "input_snapshot") | _values(models, "snapshot_id")
    kept_clips, kept_quarantine = set(named), set[int]()
    newest: BooleanExpression = GreaterThan("sequence", sequence - NEWEST)  # type: ignore[call-arg]
    for which in (newest, *_among("clips_snapshot", sorted(named))):
        rows = runs.scan(row_filter=which, selected_fields=("clips_snapshot", "quarantine_snapshot"))
        for row in rows.to_arrow().to_pylist():
            kept_clips.add(row["clips_snapshot"])
            kept_quarantine.add(row["quarantine_snapshot"])
    for data, kept in ((clips, kept_clips), (quarantine, kept_quarantine)):
        # The first is what there is before the first batch.
        _keep(catalog, data, {*kept, data.history()[0].snapshot_id})
    for rowwise in (runs, models):
        last = sorted(rowwise.metadata.snapshots, key=lambda snapshot: snapshot.sequence_number or 0)
        _keep(catalog, rowwise, {snapshot.snapshot_id for snapshot in last[-_ROWS_NEWEST:]})


def _keep(catalog: Catalog, table: Table, kept: set[int]) -> None:
    kept = kept | _referred(table)
    gone = [s.snapshot_id for s in table.metadata.snapshots if s.snapshot_id not in kept]
    if gone:
        # All at once: `expire_snapshots()` copies the metadata twice for each snapshot.
        catalog.commit_table(
            table,
            (AssertTableUUID(uuid=table.metadata.table_uuid),),
            (RemoveSnapshotsUpdate(snapshot_ids=gone),),
        )


def _remove_left_branches(table: Table) -> None:
    """Writers without a lock leave their branch behind."""
    for name, ref in table.metadata.refs.items():
        snapshot = table.snapshot_by_id(ref.snapshot_id)
        age = 0.0 if snapshot is None else time.time() - snapshot.timestamp_ms / 1000
        if name.startswith(f"{PENDING}-") and age > _BRANCH_SECONDS:
            table.manage_snapshots().remove_branch(name).commit()
            table.refresh()


def _referred(table: Table) -> set[int]:
    """What tags and branches name."""
    return {ref.snapshot_id for ref in table.metadata.refs.values()}


def _values(table: Table, column: str) -> set[int]:
    which: BooleanExpression = NotNull(column)  # type: ignore[call-arg]
    return set(table.scan(row_filter=which, selected_fields=(column,)).to_arrow()[column].to_pylist())


def _among(column: str, values: Sequence[int]) -> Iterator[BooleanExpression]:
    for start in range(0, len(values), _VALUES):
        yield In(column, set(values[start : start + _VALUES]))  # type: ignore[call-arg]
