"""The one committer: what is written to the lake is written here, one writer at a time.

Iceberg commits are atomic for one table, a batch touches two. So a batch is first written on the branch
"pending" of ``clips`` and ``quarantine``; then its ledger row in ``runs`` names the two new snapshots, which
is the moment it counts; then the tables' main branches follow. A writer that dies before the ledger row
leaves nothing that a reader sees; one that dies after it is finished by the next writer. Now and then the states
between batches that nothing names are taken away (`hummingbird.lake.retention`).
"""

import fcntl
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.catalog import Catalog
from pyiceberg.expressions import And, BooleanExpression, EqualTo, GreaterThanOrEqual, In, LessThanOrEqual
from pyiceberg.table import Table
from pyiceberg.types import DoubleType

from hummingbird.lake.retention import EXPIRE_INTERVAL, expire, name_snapshot
from hummingbird.lake.schemas import (
    ARROW,
    QUARANTINE,
    REASONS,
    REASONS_PROPERTY,
    VERDICTS,
    TableName,
    arrow_schema,
    with_all_columns,
)

PENDING = "pending"
_PINS = "hummingbird.pins"


@dataclass(frozen=True)
class Pins:
    """What the newest ledger row says is visible: a snapshot of each of the two tables of data."""

    sequence: int
    clips: int
    quarantine: int


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

    def table(self, name: TableName) -> Table:
        """The table as it is now."""
        return self._catalog.load_table((self._namespace, name))

    def pins(self) -> Pins:
        """The state that readers see; before the first batch: the empty tables."""
        runs = self.table("runs")
        newest = runs.current_snapshot()
        named = {} if newest is None or newest.summary is None else newest.summary.additional_properties
        if _PINS in named:
            return Pins(*map(int, named[_PINS].split()))
        # Not the last to write there was a committer (or one of before this property): read the ledger itself.
        rows = runs.scan(
            row_filter=_equal("kind", "batch"),
            selected_fields=("sequence", "clips_snapshot", "quarantine_snapshot"),
        ).to_arrow()
        if rows.num_rows == 0:
            return Pins(0, *(self.table(name).history()[0].snapshot_id for name in ("clips", "quarantine")))
        last = rows.slice(pc.index(rows["sequence"], pc.max(rows["sequence"])).as_py(), 1).to_pylist()[0]
        return Pins(last["sequence"], last["clips_snapshot"], last["quarantine_snapshot"])

    def commit_batch(self, batch_id: str, clips: pa.Table | None, quarantine: pa.Table | None) -> int:
        """Replaces all rows of the batch's sources; returns the snapshot of clips that holds them.

        The same batch again changes nothing and returns the current snapshot.

        Raises:
            ValueError: rows that break the tables' rules (see `conform` and `_check`).
        """
        stamp = pa.scalar(batch_id)
        table = self.table("clips")
        schema = arrow_schema("clips", table)
        new_clips = conform("clips", _stamped(clips, stamp, schema), schema)
        new_quarantine = conform("quarantine", _stamped(quarantine, stamp, QUARANTINE))
        _check(new_clips, new_quarantine, declared_reasons(table))
        sources = set(new_clips["source_uri"].to_pylist()) | set(new_quarantine["source_uri"].to_pylist())
        if not sources:
            raise ValueError(f"batch {batch_id} holds no row: every source gives a clip or a quarantine row")
        which = _of_sources(sources)
        with locked(self._lock):
            pins = self.pins()
            self._publish(pins)
            old_clips = self._rows_at("clips", pins.clips, which)
            old_quarantine = self._rows_at("quarantine", pins.quarantine, which)
            if old_clips.equals(_sorted("clips", new_clips)) and old_quarantine.equals(
                _sorted("quarantine", new_quarantine)
            ):
                return pins.clips
            after = Pins(
                pins.sequence + 1,
                self._write_pending("clips", pins.clips, which, old_clips, new_clips),
                self._write_pending("quarantine", pins.quarantine, which, old_quarantine, new_quarantine),
            )
            self._write_ledger(batch_id, after, new_clips, new_quarantine)
            self._publish(after)
            if after.sequence % EXPIRE_INTERVAL == 0:
                expire(self._catalog, self.table, after.sequence)
            return after.clips

    def declare_scores(self, columns: Mapping[str, str], reasons: Iterable[str]) -> None:
        """See `hummingbird.lake.lake.Lake.declare_scores`."""
        with locked(self._lock):
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

    def put(self, name: TableName, key: str, row: dict[str, object]) -> None:
        """Writes one row of ``runs`` or ``models``, in place of the row with the same key."""
        rows = _one_row(name, row)
        with locked(self._lock):
            named = row.get("input_snapshot" if name == "runs" else "snapshot_id")
            if isinstance(named, int):
                name_snapshot(self.table("clips"), named)
            properties = _as_property(self.pins()) if name == "runs" else {}
            _overwrite(self.table(name), rows, _equal(key, row[key]), properties=properties)

    def _rows_at(self, name: TableName, snapshot_id: int, which: BooleanExpression) -> pa.Table:
        table = self.table(name)
        rows = table.scan(row_filter=which, snapshot_id=snapshot_id).to_arrow()
        return _sorted(name, with_all_columns(arrow_schema(name, table), rows))

    def _write_pending(
        self, name: TableName, base: int, which: BooleanExpression, old: pa.Table, new: pa.Table
    ) -> int:
        """The snapshot of branch "pending" that has ``new`` in place of ``old``, the rows of ``base`` that are
        ``which``."""
        if not old.num_rows and not new.num_rows:
            return base
        table = self.table(name)
        table.manage_snapshots().create_branch(base, PENDING).commit()
        if old.num_rows:
            _overwrite(table, new, which, PENDING)
        else:
            table.append(new, branch=PENDING)
        snapshot = table.snapshot_by_name(PENDING)
        assert snapshot is not None
        return snapshot.snapshot_id

    def _write_ledger(self, batch_id: str, pins: Pins, clips: pa.Table, quarantine: pa.Table) -> None:
        now = datetime.now(UTC)
        kept = pc.sum(pc.equal(clips["verdict"], "kept")).as_py() or 0
        row = {
            "run_id": f"batch-{batch_id}",
            "kind": "batch",
            "state": "finished",
            "metrics": f'{{"kept": {kept}, "dropped": {clips.num_rows - kept}, '
            f'"quarantined": {quarantine.num_rows}}}',
            "started": now,
            "finished": now,
            "sequence": pins.sequence,
            "clips_snapshot": pins.clips,
            "quarantine_snapshot": pins.quarantine,
        }
        self.table("runs").append(_one_row("runs", row), snapshot_properties=_as_property(pins))

    def _publish(self, pins: Pins) -> None:
        """Lets the main branches, which other Iceberg readers follow, name exactly what the ledger names."""
        for name, snapshot_id in (("clips", pins.clips), ("quarantine", pins.quarantine)):
            table = self.table(name)  # type: ignore[arg-type]
            current = table.current_snapshot()
            if current is None or current.snapshot_id != snapshot_id:
                table.manage_snapshots().set_current_snapshot(snapshot_id).commit()


def conform(name: TableName, rows: pa.Table, schema: pa.Schema | None = None) -> pa.Table:
    """Rows in the table's own columns and types; columns that are not given are null.

    Args:
        schema: the table's; none: that of `ARROW`.

    Raises:
        ValueError: unknown columns, a required value missing, or a value of the wrong type.
    """
    schema = ARROW[name] if schema is None else schema
    unknown = sorted(set(rows.column_names) - set(schema.names))
    if unknown:
        raise ValueError(f"table {name} has no column {', '.join(unknown)}; it has {', '.join(schema.names)}")
    columns = []
    for field in schema:
        if field.name in rows.column_names:
            column = rows[field.name]
        else:
            column = pa.chunked_array([pa.nulls(rows.num_rows, field.type)])
        if not field.nullable and column.null_count:
            raise ValueError(f"column {field.name} of table {name} must not be null")
        try:
            columns.append(column.cast(field.type))
        except pa.ArrowInvalid as error:
            raise ValueError(f"column {field.name} of table {name}: {error}") from error
    return pa.Table.from_arrays(columns, schema=schema)


def _stamped(rows: pa.Table | None, batch_id: pa.Scalar, schema: pa.Schema) -> pa.Table:
    if rows is None:
        return schema.empty_table()
    if "batch_id" in rows.column_names:
        rows = rows.drop_columns(["batch_id"])
    return rows.append_column("batch_id", pa.chunked_array([pa.repeat(batch_id, rows.num_rows)]))


def declared_reasons(clips: Table) -> tuple[str, ...]:
    """Why a clip can be dropped: the lake's own reasons, and those of filters from outside."""
    further = clips.properties.get(REASONS_PROPERTY, "")
    return (*REASONS, *(reason for reason in further.split(",") if reason))


def _check(clips: pa.Table, quarantine: pa.Table, reasons: Sequence[str]) -> None:
    """The rules of a batch that types cannot say.

    Raises:
        ValueError: a key twice; a source with clips and in quarantine; a verdict or reason that is not in the
            fixed lists; a kept clip with reasons or a dropped one without.
    """
    _refuse_doubles("clips", clips["clip_id"].to_pylist())
    _refuse_doubles("quarantine", quarantine["source_uri"].to_pylist())
    both = set(clips["source_uri"].to_pylist()) & set(quarantine["source_uri"].to_pylist())
    if both:
        raise ValueError(f"a source has clips and is in quarantine too: {sorted(both)[:3]}")
    for row in clips.select(["clip_id", "verdict", "reasons"]).to_pylist():
        if row["verdict"] not in VERDICTS:
            raise ValueError(f"clip {row['clip_id']}: verdict {row['verdict']!r} is none of {VERDICTS}")
        if set(row["reasons"]) - set(reasons):
            raise ValueError(f"clip {row['clip_id']}: reasons {row['reasons']} are not all in {reasons}")
        if (row["verdict"] == "dropped") != bool(row["reasons"]):
            raise ValueError(f"clip {row['clip_id']} is {row['verdict']} for the reasons {row['reasons']}")


def _refuse_doubles(name: str, keys: Sequence[str]) -> None:
    if len(set(keys)) < len(keys):
        doubles = sorted({key for key in keys if keys.count(key) > 1})
        raise ValueError(f"rows of {name} with the same key in one batch: {doubles[:3]}")


def _one_row(name: TableName, row: dict[str, object]) -> pa.Table:
    schema = ARROW[name]
    fields = [
        schema.field(column) if column in schema.names else pa.field(column, pa.null()) for column in row
    ]
    values = {column: value if column in schema.names else None for column, value in row.items()}
    return conform(name, pa.Table.from_pylist([values], schema=pa.schema(fields)))


def _equal(column: str, value: object) -> BooleanExpression:
    return EqualTo(column, value)  # type: ignore[call-arg]  # pyiceberg's own constructor, not pydantic's


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


def _as_property(pins: Pins) -> dict[str, str]:
    """Every snapshot of ``runs`` carries the pins, so that finding them does not take reading the ledger."""
    return {_PINS: f"{pins.sequence} {pins.clips} {pins.quarantine}"}


def _sorted(name: TableName, rows: pa.Table) -> pa.Table:
    return rows.sort_by("clip_id" if name == "clips" else "source_uri")
