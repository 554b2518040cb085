"""Where the state of jobs is kept: small named entries, of which several servers can create one only once.

`FolderState` keeps them as files, locally or on a shared file system; `SqlState` in a table of PostgreSQL or any other
database of SQLAlchemy. Object storage serves as a folder only where it can create a file that is not there yet.
"""

import errno
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from hummingbird.core.errors import InputError
from hummingbird.core.files import AnyPath, as_path, create, write_atomically
from hummingbird.core.masking import mask_text

DATABASES = frozenset({"postgresql", "mysql", "mariadb", "sqlite"})
"""Schemes of URLs that name a database and no folder."""

PG_DISK_FULL = "53100"

OLD_SECONDS = 3600.0
"""What a killed writer left half-written is removed after this time."""


class State(Protocol):
    """Named entries. Every operation is whole or not at all, and is seen by all servers once it has returned.

    All raise OSError where the place cannot be reached, or has no room (ENOSPC).
    """

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

    Each operation is one statement that commits by itself, so that it means the same under every isolation level.

    Args:
        url: as SQLAlchemy takes it; a password comes from the environment of the driver (``PGPASSWORD``).

    Raises:
        InputError: the database or its driver is not there.
    """

    def __init__(self, url: str) -> None:
        import sqlalchemy as sql

        try:
            # Parameters hold prompts and the secret of the cookies: no message may show them.
            self._engine = sql.create_engine(
                url, pool_pre_ping=True, isolation_level="AUTOCOMMIT", hide_parameters=True
            )
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
        except (ImportError, OSError, sql.exc.SQLAlchemyError) as error:
            reason = mask_text(" ".join(str(error).split()))[:200]
            raise InputError(f"serve.jobs: cannot open {self._shown(url)}: {reason}") from error

    @staticmethod
    def _shown(url: str) -> str:
        return url.partition("://")[0] + "://..."

    def names(self) -> list[str]:
        """See `State`."""
        import sqlalchemy as sql

        with self._run(sql.select(self._table.c.name)) as result:
            return [str(name) for name in result.scalars()]

    def read(self, name: str) -> bytes | None:
        """See `State`."""
        import sqlalchemy as sql

        with self._run(sql.select(self._table.c.content).where(self._table.c.name == name)) as result:
            content = result.scalar_one_or_none()
        return None if content is None else bytes(content)

    def create(self, name: str, content: bytes) -> bool:
        """See `State`."""
        import sqlalchemy as sql

        try:
            with self._run(self._table.insert().values(name=name, content=content)):
                return True
        except sql.exc.IntegrityError:
            return False

    def write(self, name: str, content: bytes) -> None:
        """See `State`."""
        changed = self._table.update().where(self._table.c.name == name).values(content=content)
        while True:  # removed by another between the two: once more
            with self._run(changed) as result:
                if result.rowcount:
                    return
            if self.create(name, content):
                return

    def remove(self, name: str) -> None:
        """See `State`."""
        with self._run(self._table.delete().where(self._table.c.name == name)):
            pass

    @contextmanager
    def _run(self, statement: Any) -> Iterator[Any]:
        import sqlalchemy as sql

        try:
            with self._engine.connect() as connection:
                yield connection.execute(statement)
        except sql.exc.IntegrityError:
            raise
        except sql.exc.SQLAlchemyError as error:
            full = getattr(getattr(error, "orig", None), "pgcode", None) == PG_DISK_FULL
            message = f"the database of the jobs fails: {' '.join(str(error).split())[:200]}"
            raise OSError(errno.ENOSPC if full else errno.EIO, message) from error


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
