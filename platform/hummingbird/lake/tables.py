"""The tables as the catalog makes them: properties, columns that later versions added, the version."""

from collections.abc import Callable

from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.table import Table

from hummingbird.core.errors import InputError
from hummingbird.lake.conflicts import unchanged_since_loaded
from hummingbird.lake.schemas import ARROW, ICEBERG, SCHEMA_VERSION, TABLES, VERSION_PROPERTY, TableName

PROPERTIES = {
    VERSION_PROPERTY: str(SCHEMA_VERSION),
    # Without it, 8 concurrent writers lose up to a quarter of their commits.
    "commit.retry.num-retries": "30",
    # Each commit writes the list of all snapshots anew: kept for good, the lists of 10,000 commits take 50 GB.
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "20",
    # Each commit adds a manifest, and each read reads them all.
    "commit.manifest-merge.enabled": "true",
    "commit.manifest.min-count-to-merge": "25",
    # By their ranges files are passed over; the first 16 letters, as by default, most sources have in common.
    "write.metadata.metrics.column.source_uri": "full",
    "write.metadata.metrics.column.batch_id": "full",
}


def create_tables(catalog: Catalog, namespace: str) -> None:
    """Makes the tables that are missing, and adds to others what later versions have besides. May conflict."""
    catalog.create_namespace_if_not_exists(namespace)
    for name in TABLES:
        table = catalog.create_table_if_not_exists((namespace, name), ICEBERG[name], properties=PROPERTIES)
        missing = {key: value for key, value in PROPERTIES.items() if key not in table.properties}
        if missing and VERSION_PROPERTY not in missing:  # an earlier version made the table
            table.transaction().set_properties(missing).commit_transaction()
            table.refresh()
        if len(table.schema().fields) < len(ICEBERG[name].fields):  # a later version added optional columns
            with table.update_schema() as update:
                update.union_by_name(ICEBERG[name])
        if table.current_snapshot() is None:
            unchanged_since_loaded(table).append(
                ARROW[name].empty_table()
            )  # so that there is a snapshot to go back to


def check_version(load: Callable[[TableName], Table]) -> None:
    """Raises InputError where a table is missing or of another schema version. ``load`` gives a table."""
    for name in TABLES:
        try:
            version = load(name).properties.get(VERSION_PROPERTY)
        except NoSuchTableError as error:
            raise InputError(f"the lake has no table {name} yet; jobs/curate.py makes one") from error
        if version != str(SCHEMA_VERSION):
            raise InputError(f"table {name} has schema version {version}, this code reads {SCHEMA_VERSION}")
