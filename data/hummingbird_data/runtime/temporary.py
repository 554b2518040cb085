"""Lists longer than memory: an SQLite file for as long as it is needed."""

import sqlite3
from types import TracebackType
from typing import Self


class TemporaryDatabase:
    """What is kept in a temporary SQLite database, ``self.database``, until it is closed.

    It is a file without a name, below ``TMPDIR``, that the system removes when the process ends, however it does.
    """

    def __init__(self, tables: str) -> None:
        self.database = sqlite3.connect("")
        self.database.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {tables}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Removes the file."""
        self.database.close()
