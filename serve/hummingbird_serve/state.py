"""Where the state of jobs is kept: small named entries, of which several servers can create one only once.

`FolderState` keeps them as files, locally or on a shared file system; `SqlState` in a table of PostgreSQL or any other
database of SQLAlchemy. Object storage serves as a folder only where it can create a file that is not there yet.
"""

import secrets
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from hummingbird.core.errors import InputError
from hummingbird.core.files import AnyPath, as_path, create, write_atomically

DATABASES = frozenset({"postgresql", "mysql", "mariadb", "sqlite"})
"""Schemes of URLs that name a database and no folder."""

OLD_SECONDS = 3600.0
"""What a killed writer left half-written is removed after this time."""


class State(Protocol):
    """Named entries. Every operation is whole or not at all, and is seen by all servers once it has returned."""

    def names(self) -> list[str]:
        """The names of all entries."""

    def read(self, name: str) -> bytes | None:
        """The content of an entry; none where there is no such entry."""

    def create(self, name: str, content: bytes) -> bool:
        """Writes an entry that is not there yet; of several who try at once, one gets True."""

    def write(self, name: str, content: bytes) -> None:
        """Writes an entry, whether it is there or not."""

    def remove(self, name: str) -> None:
        """Removes an entry; nothing happens where there is none."""


class FolderState:
    """One file an entry, in one folder.

    Raises:
        InputError: this kind of place cannot create a file only where there is none.
    """

    def __init__(self, folder: AnyPath) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        if isinstance(folder, Path):
            remove_half_written(folder)
            return
        probe = folder / f"probe_{time.time_ns()}"
        try:
            create(probe, b"")
        except InputError as error:
            raise InputError(
                f"{error}, so jobs cannot be kept there: set serve.jobs to a folder that all servers share, or to "
                "a database (postgresql+psycopg2://host/name)"
            ) from error
        probe.unlink(missing_ok=True)

    def names(self) -> list[str]:
        """See `State`."""
        return [path.name for path in self.folder.iterdir() if not path.name.startswith(".")]

    def read(self, name: str) -> bytes | None:
        """See `State`."""
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def create(self, name: str, content: bytes) -> bool:
        """See `State`."""
        try:
            create(self.folder / name, content)
        except FileExistsError:
            return False
        return True

    def write(self, name: str, content: bytes) -> None:
        """See `State`."""
        write_atomically(self.folder / name, content)

    def remove(self, name: str) -> None:
        """See `State`."""
        (self.folder / name).unlink(missing_ok=True)


class SqlState:
    """One row an entry, in the table ``hummingbird_serve`` of a database.

    Args:
        url: as SQLAlchemy takes it; a password comes from the environment of the driver (``PGPASSWORD``).

    Raises:
        InputError: the database or its driver is not there.
    """

    def __init__(self, url: str) -> None:
        import sqlalchemy as sql

        try:
            self._engine = sql.create_engine(url, pool_pre_ping=True)
            metadata = sql.MetaData()
            self._table = sql.Table(
                "hummingbird_serve",
                metadata,
                sql.Column("name", sql.String(128), primary_key=True),
                sql.Column("content", sql.LargeBinary, nullable=False),
            )
            with suppress(sql.exc.ProgrammingError, sql.exc.IntegrityError):  # another server makes it now
                metadata.create_all(self._engine)
            self.names()
        except (ImportError, sql.exc.SQLAlchemyError) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(f"serve.jobs: cannot open {self._shown(url)}: {reason}") from error

    @staticmethod
    def _shown(url: str) -> str:
        return url.partition("://")[0] + "://..."

    def names(self) -> list[str]:
        """See `State`."""
        import sqlalchemy as sql

        return [str(row.name) for row in self._run(sql.select(self._table.c.name))]

    def read(self, name: str) -> bytes | None:
        """See `State`."""
        import sqlalchemy as sql

        rows = self._run(sql.select(self._table.c.content).where(self._table.c.name == name))
        return bytes(rows[0].content) if rows else None

    def create(self, name: str, content: bytes) -> bool:
        """See `State`."""
        import sqlalchemy as sql

        try:
            self._run(self._table.insert().values(name=name, content=content))
        except sql.exc.IntegrityError:
            return False
        return True

    def write(self, name: str, content: bytes) -> None:
        """See `State`."""
        changed = self._table.update().where(self._table.c.name == name).values(content=content)
        if self._count(changed) == 0 and not self.create(name, content):
            self._count(changed)

    def remove(self, name: str) -> None:
        """See `State`."""
        self._count(self._table.delete().where(self._table.c.name == name))

    def _run(self, statement: Any) -> list[Any]:
        with self._engine.begin() as connection:
            result = connection.execute(statement)
            return list(result) if result.returns_rows else []

    def _count(self, statement: Any) -> int:
        with self._engine.begin() as connection:
            return int(connection.execute(statement).rowcount)


def open_state(place: AnyPath | str) -> State:
    """The state at a folder, a URI of files, or a URL of a database (``postgresql+psycopg2://host/name``).

    Raises:
        InputError: there is no such place, or it cannot keep jobs.
    """
    if isinstance(place, str) and place.partition("://")[0].partition("+")[0] in DATABASES:
        return SqlState(place)
    return FolderState(as_path(place))


def remove_half_written(folder: Path) -> None:
    """Removes the temporary files of writers that were killed."""
    for path in folder.glob(".*"):
        with suppress(FileNotFoundError):
            if path.is_file() and time.time() - path.stat().st_mtime > OLD_SECONDS:
                path.unlink()


def shared_secret(state: State) -> bytes:
    """Random bytes that all servers of a state share, made by the first of them."""
    state.create("secret", secrets.token_bytes(32))
    if isinstance(state, FolderState) and isinstance(state.folder, Path):
        (state.folder / "secret").chmod(0o600)
    return state.read("secret") or b""
