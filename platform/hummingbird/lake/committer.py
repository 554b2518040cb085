"""The one committer: what is written to the lake is written here.

Iceberg commits are atomic for one table, a batch touches two. So a batch is first written on the branch
"pending" of ``clips`` and ``quarantine``; then its ledger row in ``runs`` names the two new snapshots, which
is the moment it counts; then the tables' main branches follow. A writer that dies before the ledger row
leaves nothing that a reader sees; one that dies after it is finished by the next writer. Now and then the states
between batches that nothing names are taken away (`hummingbird.lake.retention`).

Where the catalog is no SQLite file there is no lock: each writer has a branch of its own, and a ledger row counts only
if ``runs`` is as it was when the batch was put on top of the newest one. Else another was first, and the batch is put
on top of that.
"""

import fcntl
import json
import uuid
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.catalog import Catalog
from pyiceberg.expressions import And, BooleanExpression, GreaterThanOrEqual, In, LessThanOrEqual
from pyiceberg.table import Table
from pyiceberg.types import DoubleType

from hummingbird.lake.conflicts import CONFLICTS, attempts, unchanged_since_loaded, until_committed
from hummingbird.lake.pins import Pins, equal_to, pins_of, pins_property
from hummingbird.lake.retention import EXPIRE_INTERVAL, PENDING, expire, name_snapshot
from hummingbird.lake.rows import check_batch, conform, declared_reasons, one_row, stamped
from hummingbird.lake.schemas import (
    QUARANTINE,
    REASONS,
    REASONS_PROPERTY,
    TableName,
    arrow_schema,
    with_all_columns,
)


@contextmanager
def locked(path: Path | None) -> Iterator[None]:
    """Waits for, holds and releases the writers' lock, where there is one; the system releases it when a process
    dies."""
    if path is None:
        yield
        return
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Committer:
    """Writes batches and rows, under a lock where the catalog is an SQLite file."""

    def __init__(self, catalog: Catalog, namespace: str, lock: Path | None) -> None:
        self._catalog = catalog
        self._namespace = namespace
        self._lock = lock
        self._branch = PENDING if lock is not None else f"{PENDING}-{uuid.uuid4().hex[:12]}"

    def table(self, name: TableName) -> Table:
        """The table as it is now."""
        return self._catalog.load_table((self._namespace, name))

    def pins(self) -> Pins:
        """The state that readers see; before the first batch: the empty tables."""
        return pins_of(self.table("runs"), self.table)

    def commit_batch(self, batch_id: str, clips: pa.Table | None, quarantine: pa.Table | None) -> int:
        """Replaces all rows of the batch's sources; returns the snapshot of clips that holds them.

        The same batch again changes nothing and returns the current snapshot.

        Raises:
            ValueError: rows that break the tables' rules (see `conform` and `check_batch`).
        """
        stamp = pa.scalar(batch_id)
        table = self.table("clips")
        schema = arrow_schema("clips", table)
        new_clips = conform("clips", stamped(clips, stamp, schema), schema)
        new_quarantine = conform("quarantine", stamped(quarantine, stamp, QUARANTINE))
        check_batch(new_clips, new_quarantine, declared_reasons(table))
        sources = set(new_clips["source_uri"].to_pylist()) | set(new_quarantine["source_uri"].to_pylist())
        if not sources:
            raise ValueError(f"batch {batch_id} holds no row: every source gives a clip or a quarantine row")
        which = _of_sources(sources)
        kept = pc.sum(pc.equal(new_clips["verdict"], "kept")).as_py() or 0
        metrics = {"kept": kept, "dropped": new_clips.num_rows - kept, "quarantined": new_quarantine.num_rows}
        with locked(self._lock):
            base: Pins | None = None
            after: Pins | None = None
            for _ in attempts():
                runs = unchanged_since_loaded(self.table("runs"))
                pins = pins_of(runs, self.table)
                if after is None or pins != base:
                    base, after = pins, self._pending(pins, which, new_clips, new_quarantine)
                    if after is None:
                        return pins.clips
                try:
                    self._write_ledger(runs, batch_id, after, metrics)
                    break
                except CONFLICTS:
                    continue
            assert after is not None
            self._publish(after)
            if after.sequence % EXPIRE_INTERVAL == 0:
                self._expire(after)
            return after.clips

    def expire(self) -> None:
        """See `hummingbird.lake.lake.Lake.expire`."""
        with locked(self._lock):
            self._expire(self.pins())

    def _expire(self, pins: Pins) -> None:
        until_committed(lambda: expire(self._catalog, self.table, pins.sequence))

    def compact(self, name: TableName) -> dict[str, int]:
        """See `hummingbird.lake.lake.Lake.compact`. Readers see the same rows under a new snapshot."""

        def compact() -> tuple[int, int]:
            runs = unchanged_since_loaded(self.table("runs"))
            pins = pins_of(runs, self.table)
            table = runs if name == "runs" else unchanged_since_loaded(self.table(name))
            base = {"clips": pins.clips, "quarantine": pins.quarantine}.get(name)
            files = list(table.scan(snapshot_id=base).plan_files())
            if len(files) < 2:
                return len(files), len(files)
            branch, properties = "main", pins_property(pins) if name == "runs" else {}
            if base is not None:
                self._publish(pins)
                table = self.table(name)
                table.manage_snapshots().create_branch(base, self._branch).commit()
                table, branch = unchanged_since_loaded(self.table(name)), self._branch
            rows = table.scan(snapshot_id=base).to_arrow_batch_reader()
            table.overwrite(rows, branch=branch, snapshot_properties=properties)
            made = table.snapshot_by_name(branch)
            assert made is not None
            if base is not None:
                after = replace(pins, sequence=pins.sequence + 1, **{name: made.snapshot_id})
                self._write_ledger(runs, f"compact-{name}-{after.sequence}", after, {})
                self._publish(after)
            return len(files), len(list(table.scan(snapshot_id=made.snapshot_id).plan_files()))

        with locked(self._lock):
            before, after = until_committed(compact)
        return {"before": before, "after": after}

    def _pending(
        self, pins: Pins, which: BooleanExpression, clips: pa.Table, quarantine: pa.Table
    ) -> Pins | None:
        """What readers would see with these rows on top of ``pins``; none: what they see already."""
        self._publish(pins)
        old_clips = self._rows_at("clips", pins.clips, which)
        old_quarantine = self._rows_at("quarantine", pins.quarantine, which)
        same = old_clips.equals(_sorted("clips", clips)) and old_quarantine.equals(
            _sorted("quarantine", quarantine)
        )
        if same:
            return None
        return Pins(
            pins.sequence + 1,
            self._write_pending("clips", pins.clips, which, old_clips, clips),
            self._write_pending("quarantine", pins.quarantine, which, old_quarantine, quarantine),
        )

    def declare_scores(self, columns: Mapping[str, str], reasons: Iterable[str]) -> None:
        """See `hummingbird.lake.lake.Lake.declare_scores`."""

        def declare() -> None:
            table = self.table("clips")
            missing = {name: doc for name, doc in columns.items() if name not in table.schema().column_names}
            if missing:
                with table.update_schema() as update:
                    for name, doc in missing.items():
                        update.add_column(name, DoubleType(), doc)
            known = declared_reasons(table)
            further = [reason for reason in (*known, *reasons) if reason not in REASONS]
            if set(further) - set(known):
                property_ = {REASONS_PROPERTY: ",".join(dict.fromkeys(further))}
                table.refresh().transaction().set_properties(property_).commit_transaction()

        reasons = tuple(reasons)
        with locked(self._lock):
            until_committed(declare)

    def put(self, name: TableName, key: str, row: dict[str, object]) -> None:
        """Writes one row of ``runs`` or ``models``, in place of the row with the same key."""
        rows = one_row(name, row)
        named = row.get("input_snapshot" if name == "runs" else "snapshot_id")

        def put() -> None:
            table = unchanged_since_loaded(self.table(name))
            properties = pins_property(pins_of(table, self.table)) if name == "runs" else {}
            _overwrite(table, rows, equal_to(key, row[key]), properties=properties)

        with locked(self._lock):
            if isinstance(named, int):
                until_committed(lambda: name_snapshot(self.table("clips"), named))
            until_committed(put)

    def _rows_at(self, name: TableName, snapshot_id: int, which: BooleanExpression) -> pa.Table:
        table = self.table(name)
        rows = table.scan(row_filter=which, snapshot_id=snapshot_id).to_arrow()
        return _sorted(name, with_all_columns(arrow_schema(name, table), rows))

    def _write_pending(
        self, name: TableName, base: int, which: BooleanExpression, old: pa.Table, new: pa.Table
    ) -> int:
        """The snapshot of our branch that has ``new`` in place of ``old``, the rows of ``base`` that are
        ``which``."""
        if not old.num_rows and not new.num_rows:
            return base

        def write() -> int:
            table = self.table(name)
            table.manage_snapshots().create_branch(base, self._branch).commit()
            if old.num_rows:
                _overwrite(table, new, which, self._branch)
            else:
                table.append(new, branch=self._branch)
            snapshot = table.snapshot_by_name(self._branch)
            assert snapshot is not None
            return snapshot.snapshot_id

        return until_committed(write)

    def _write_ledger(self, runs: Table, batch_id: str, pins: Pins, metrics: Mapping[str, int]) -> None:
        now = datetime.now(UTC)
        row = {
            "run_id": f"batch-{batch_id}",
            "kind": "batch",
            "state": "finished",
            "metrics": json.dumps(metrics),
            "started": now,
            "finished": now,
            "sequence": pins.sequence,
            "clips_snapshot": pins.clips,
            "quarantine_snapshot": pins.quarantine,
        }
        runs.append(one_row("runs", row), snapshot_properties=pins_property(pins))

    def _publish(self, pins: Pins) -> None:
        """Lets the main branches, which other Iceberg readers follow, name exactly what the ledger names."""

        def follow(name: TableName, snapshot_id: int) -> None:
            table = self.table(name)
            current = table.current_snapshot()
            if current is None or current.snapshot_id != snapshot_id:
                table.manage_snapshots().set_current_snapshot(snapshot_id).commit()

        until_committed(lambda: follow("clips", pins.clips))
        until_committed(lambda: follow("quarantine", pins.quarantine))


def _of_sources(sources: set[str]) -> BooleanExpression:
    """Rows of these sources; a clip's key comes from its source, so there is none of another.

    The bounds spare reading most files: pyiceberg looks at no file's range for an "in" of more than 200 values.
    """
    return And(
        GreaterThanOrEqual("source_uri", min(sources)),  # type: ignore[call-arg]
        LessThanOrEqual("source_uri", max(sources)),  # type: ignore[call-arg]
        In("source_uri", sources),  # type: ignore[call-arg]
    )


def _overwrite(
    table: Table,
    rows: pa.Table,
    which: BooleanExpression,
    branch: str = "main",
    properties: dict[str, str] | None = None,
) -> None:
    with warnings.catch_warnings():
        # Replacing nothing is what a first commit does.
        warnings.filterwarnings("ignore", message="Delete operation did not match any records")
        table.overwrite(rows, overwrite_filter=which, branch=branch, snapshot_properties=properties or {})


def _sorted(name: TableName, rows: pa.Table) -> pa.Table:
    return rows.sort_by("clip_id" if name == "clips" else "source_uri")
