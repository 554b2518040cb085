"""Reading a table of the lake: filters, columns, and rows one data file at a time."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa
from pyiceberg.expressions import AlwaysTrue, BooleanExpression
from pyiceberg.io.pyarrow import ArrowScan
from pyiceberg.table import DataScan, Table
from pyparsing import ParseException

from hummingbird.core.errors import InputError
from hummingbird.lake.schemas import TableName, arrow_schema, with_all_columns


class Scan:
    """The rows of one state of a table that fit a filter.

    Args:
        name: of the table.
        table: as the catalog knows it.
        where: an Iceberg row filter, as text or an expression; none: all rows.
        snapshot_id: of this very table; none: the current one.
        columns: those to read, in this order; none: all.

    Raises:
        InputError: no such column, or a filter that cannot be read; here, or where rows are read.
    """

    def __init__(
        self,
        name: TableName,
        table: Table,
        where: str | BooleanExpression | None,
        snapshot_id: int | None,
        columns: Sequence[str] | None,
    ) -> None:
        self._name, self._where, self._columns = name, where, columns
        self._schema = arrow_schema(name, table)
        unknown = [column for column in columns or () if column not in self._schema.names]
        if unknown:
            raise InputError(
                f"{name} has no column {', '.join(unknown)}; it has {', '.join(self._schema.names)}"
            )
        with self._explained():
            scan = table.scan(row_filter=where or AlwaysTrue(), snapshot_id=snapshot_id)
        if columns is not None:
            # A snapshot may be older than a column; of rows without any wanted one, the first keeps their count.
            available = scan.projection().column_names
            scan = scan.select(*([column for column in columns if column in available] or available[:1]))
        self._scan: DataScan = scan

    def read(self) -> pa.Table:
        """All rows."""
        with self._explained():
            rows = self._scan.to_arrow()
        return with_all_columns(self._schema, rows, self._columns)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The same rows, one data file in memory at a time."""
        scan = self._scan
        with self._explained():
            reader = ArrowScan(scan.table_metadata, scan.io, scan.projection(), scan.row_filter)
            tasks = scan.plan_files()
        for task in tasks:
            # One by one: given all of them, pyiceberg reads ahead of its consumer without bound.
            for batch in reader.to_record_batches([task]):
                yield from with_all_columns(
                    self._schema, pa.Table.from_batches([batch]), self._columns
                ).to_batches()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Errors about the filter in words for people."""
        try:
            yield
        except ParseException as error:
            raise InputError(
                f"cannot read the filter {self._where!r} from character {error.loc} on: write column = 'text', "
                "column > 1, column is null, column in (1, 2), joined by and, or, not"
            ) from error
        except (ValueError, TypeError) as error:  # of pyiceberg's binder: no such column, another type
            if self._where is None:
                raise
            reason, available = " ".join(str(error).split()), ", ".join(self._schema.names)
            raise InputError(
                f"cannot use the filter {self._where!r}: {reason}; {self._name} has {available}"
            ) from error
