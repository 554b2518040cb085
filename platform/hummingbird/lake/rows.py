"""Rows as the tables take them: their columns and types, and the rules that types cannot say."""

from collections.abc import Sequence

import pyarrow as pa
from pyiceberg.table import Table

from hummingbird.lake.schemas import ARROW, REASONS, REASONS_PROPERTY, VERDICTS, TableName


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


def stamped(rows: pa.Table | None, batch_id: pa.Scalar, schema: pa.Schema) -> pa.Table:
    """Rows, or none, with the id of their batch."""
    if rows is None:
        return schema.empty_table()
    if "batch_id" in rows.column_names:
        rows = rows.drop_columns(["batch_id"])
    return rows.append_column("batch_id", pa.chunked_array([pa.repeat(batch_id, rows.num_rows)]))


def declared_reasons(clips: Table) -> tuple[str, ...]:
    """Why a clip can be dropped: the lake's own reasons, and those of filters from outside."""
    further = clips.properties.get(REASONS_PROPERTY, "")
    return (*REASONS, *(reason for reason in further.split(",") if reason))


def check_batch(clips: pa.Table, quarantine: pa.Table, reasons: Sequence[str]) -> None:
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


def one_row(name: TableName, row: dict[str, object]) -> pa.Table:
    """A row as a table. Raises ValueError, see `conform`."""
    schema = ARROW[name]
    fields = [
        schema.field(column) if column in schema.names else pa.field(column, pa.null()) for column in row
    ]
    values = {column: value if column in schema.names else None for column, value in row.items()}
    return conform(name, pa.Table.from_pylist([values], schema=pa.schema(fields)))
