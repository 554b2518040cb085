"""The lake: Iceberg tables of clips, quarantine, runs and models."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.expressions import BooleanExpression, EqualTo

from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.core.files import AnyPath
from hummingbird.core.remote_path import RemotePath
from hummingbird.core.scratch import origin
from hummingbird.lake.catalogs import catalog_properties, open_catalog, sqlite_file
from hummingbird.lake.committer import Committer, locked
from hummingbird.lake.conflicts import until_committed
from hummingbird.lake.scans import Scan
from hummingbird.lake.schemas import (
    JSON_COLUMNS,
    TABLES,
    TableName,
    arrow_schema,
)
from hummingbird.lake.tables import check_version, create_tables


class Lake:
    """Reads and writes of the tables. Readers see only batches whose ledger row is written."""

    def __init__(self, committer: Committer, storage: AnyPath) -> None:
        self._committer = committer
        self.storage = storage

    @classmethod
    def open(cls, settings: Settings, create: bool = True) -> "Lake":
        """Opens the lake of the settings' storage and catalog.

        Args:
            settings: the tree; ``storage`` and ``catalog`` matter.
            create: make the missing folders and tables.

        Raises:
            InputError: there is no lake and ``create`` is false, the catalog cannot be reached, the storage is a
                URI without a catalog, or the tables were written by another schema version.
        """
        storage, catalog_settings = settings.storage, settings.catalog
        properties = catalog_properties(settings)
        if isinstance(storage, Path):
            if create:
                try:
                    storage.mkdir(parents=True, exist_ok=True)
                except OSError as error:
                    raise InputError(f"cannot make the storage folder {storage}: {error.strerror}") from error
            elif not storage.is_dir():
                raise InputError(f"there is no storage folder {storage}; name the right one with --storage")
            elif (
                properties["uri"] == f"sqlite:///{storage / 'catalog.db'}"
                and not (storage / "catalog.db").is_file()
            ):
                raise InputError(f"there is no lake in {storage} yet; jobs/curate.py makes one")
        lock = _lock_of(properties)
        if create:
            # The SQL catalog makes its own tables when it is opened, which two processes must not do at once.
            with locked(lock):
                catalog = open_catalog(settings)
                until_committed(lambda: create_tables(catalog, catalog_settings.namespace))
        else:
            catalog = open_catalog(settings)
        committer = Committer(catalog, catalog_settings.namespace, lock)
        check_version(committer.table)
        return cls(committer, storage)

    def commit_batch(self, batch_id: str, clips: pa.Table | None, quarantine: pa.Table | None) -> int:
        """Commits whole source files: each is replaced with its clips or with its row of quarantine.

        Args:
            batch_id: name of the batch; the same batch again ends with the same rows.
            clips: rows with the columns of `CLIPS`, at least the required ones; ``batch_id`` is filled in.
            quarantine: rows with the columns of `QUARANTINE`.

        Returns:
            The snapshot of clips that holds the batch.

        Raises:
            ValueError: rows that break a rule of the tables; nothing is written.
        """
        return self._committer.commit_batch(batch_id, clips, quarantine)

    def declare_scores(self, columns: Mapping[str, str], reasons: Iterable[str]) -> None:
        """Lets clips have the scores, and be dropped for the reasons, of filters from outside.

        Args:
            columns: columns of numbers that the table may lack, and what they hold; they stay.
            reasons: what ``reasons`` may say besides `hummingbird.lake.schemas.REASONS`.
        """
        self._committer.declare_scores(columns, reasons)

    def schema(self, table: TableName) -> pa.Schema:
        """The columns of a table as it is now."""
        return arrow_schema(table, self._committer.table(table))

    def snapshot(self) -> int:
        """The id of the current snapshot of clips; what it reads never changes."""
        return self._committer.pins().clips

    def read(
        self,
        table: str,
        where: str | None = None,
        snapshot_id: int | None = None,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """The visible rows of a table, with the columns and types of its Arrow schema, in memory at once.

        Args:
            table: one of `TABLES`.
            where: an Iceberg row filter, e.g. ``verdict = 'kept' and motion_score > 0.5``.
            snapshot_id: a snapshot of clips, for clips and quarantine; none: the current one.
            columns: those to read, in this order; none: all.

        Raises:
            InputError: no such table, column or snapshot, or a filter that cannot be read.
        """
        return self._scan(table, where, snapshot_id, columns).read()

    def batches(
        self,
        table: str,
        where: str | None = None,
        snapshot_id: int | None = None,
        columns: Sequence[str] | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """The rows of `read` as they are in its files, of which one is in memory at a time."""
        return self._scan(table, where, snapshot_id, columns).batches()

    def media_paths(self) -> Iterator[list[str]]:
        """The media files that the rows of all states of clips name, a data file's at a time."""
        table = self._committer.table("clips")
        for path in sorted(set(table.inspect.all_data_files()["file_path"].to_pylist())):
            with table.io.new_input(path).open() as file:
                yield pq.read_table(file, columns=["media_path"])["media_path"].drop_null().to_pylist()

    def compact(self, table: TableName) -> dict[str, int]:
        """Writes a table's rows into as few files as they need; returns how many there are ``before`` and ``after``."""
        return self._committer.compact(table)

    def expire(self) -> None:
        """Takes the snapshots away that no run and no model names, but for the newest."""
        self._committer.expire()

    def snapshots(self, table: TableName) -> int:
        """How many states of a table there are."""
        return len(self._committer.table(table).metadata.snapshots)

    def kept_clips(self, snapshot_id: int) -> pa.Table:
        """The clips of one snapshot that may be learned from, ordered by ``clip_id``."""
        return self.read("clips", "verdict = 'kept'", snapshot_id).sort_by("clip_id")

    def put_run(self, row: Mapping[str, object]) -> None:
        """Writes a row of ``runs`` in place of the one with the same ``run_id``."""
        self._committer.put("runs", "run_id", _with_json({"kind": "run", **row}))

    def add_model(self, row: Mapping[str, object]) -> None:
        """Writes a row of ``models`` in place of the one with the same ``model_id``.

        Args:
            row: columns of `MODELS`, at least ``model_id`` and ``kind``; mappings are written as JSON.

        Raises:
            InputError: the parent or the run is not in the lake.
            ValueError: an unknown column or a missing value.
        """
        for column, table in (("parent_id", "models"), ("run_id", "runs")):
            key = "model_id" if table == "models" else "run_id"
            value = row.get(column)
            if value is not None and self._find(table, key, str(value)) is None:
                raise InputError(
                    f"model {row.get('model_id')}: {column} '{value}' is not in the table {table}"
                )
        self._committer.put("models", "model_id", _with_json({"created": datetime.now(UTC), **row}))

    def lineage(self, model_id: str) -> list[dict[str, Any]]:
        """From a model back to the clips: one entry a model, itself first, then its parent, ....

        Returns:
            Mappings with "model": its row; "run": the run's row or None; "snapshot_id": int or None; "clips":
            the number of kept clips of that snapshot or None. JSON columns are parsed.

        Raises:
            InputError: no such model.
        """
        line: list[dict[str, Any]] = []
        seen: set[str] = set()
        ancestor: str | None = model_id
        while ancestor is not None and ancestor not in seen:
            seen.add(ancestor)
            model = self._find("models", "model_id", ancestor)
            if model is None:
                raise InputError(f"there is no model '{ancestor}' in the lake of {self.storage}")
            snapshot = model["snapshot_id"]
            run = self._find("runs", "run_id", model["run_id"]) if model["run_id"] is not None else None
            clips = self.kept_clips(snapshot).num_rows if snapshot is not None else None
            line.append({"model": model, "run": run, "snapshot_id": snapshot, "clips": clips})
            ancestor = model["parent_id"]
        return line

    def _scan(
        self,
        table: str,
        where: str | BooleanExpression | None,
        snapshot_id: int | None,
        columns: Sequence[str] | None,
    ) -> Scan:
        if table not in TABLES:
            raise InputError(f"there is no table '{table}'; there are {', '.join(TABLES)}")
        name: TableName = table
        snapshot = self._snapshot_of(name, snapshot_id)
        return Scan(name, self._committer.table(name), where, snapshot, columns)

    def _find(self, table: str, key: str, value: str) -> dict[str, Any] | None:
        which = EqualTo(key, value)  # type: ignore[call-arg]  # no text: quotes may stand in a value
        rows = self._scan(table, which, None, None).read().to_pylist()
        return parse_json(rows[0]) if rows else None

    def _snapshot_of(self, name: TableName, snapshot_id: int | None) -> int | None:
        """The Iceberg snapshot of a table that belongs to a snapshot of clips."""
        if name in ("runs", "models"):
            if snapshot_id is not None:
                raise InputError(
                    f"snapshots name states of clips and quarantine; {name} has only the current one"
                )
            return None
        pins = self._committer.pins()
        if snapshot_id is None:
            return pins.clips if name == "clips" else pins.quarantine
        tables = {t: self._committer.table(t) for t in ("clips", "quarantine")}
        first = {t: table.history()[0].snapshot_id for t, table in tables.items()}
        ledger = self.read("runs", f"kind = 'batch' and clips_snapshot = {int(snapshot_id)}")
        if not ledger.num_rows and snapshot_id != first["clips"]:
            raise InputError(f"there is no snapshot {snapshot_id}; the current one is {pins.clips}")
        if tables["clips"].snapshot_by_id(snapshot_id) is None:
            raise InputError(
                f"snapshot {snapshot_id} is no longer there: no run or model named it; the current one is {pins.clips}"
            )
        if name == "clips":
            return snapshot_id
        # A batch of failures alone changes quarantine, and not clips.
        last = ledger.sort_by("sequence")["quarantine_snapshot"].to_pylist()
        return last[-1] if last else first["quarantine"]


def parse_json(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with its JSON columns parsed."""
    return {
        key: json.loads(value) if key in JSON_COLUMNS and value is not None else value
        for key, value in row.items()
    }


def _with_json(row: Mapping[str, object]) -> dict[str, object]:
    return {
        key: json.dumps(value, sort_keys=True, default=str)
        if key in JSON_COLUMNS and value is not None and not isinstance(value, str)
        else str(origin(value))
        if isinstance(value, Path | RemotePath)
        else value
        for key, value in row.items()
    }


def _lock_of(properties: Mapping[str, str]) -> Path | None:
    """The file beside an SQLite catalog that its writers lock, which machines may share if they share its locks. Any
    other catalog decides itself who comes first."""
    file = sqlite_file(properties)
    return None if file is None else file.parent / "lake.lock"
