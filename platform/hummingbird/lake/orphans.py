"""Media files that no row names: left behind by a job that was killed, or by rows that were replaced."""

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from hummingbird.lake.lake import Lake

_PART = re.compile(r"^\..+\.mp4\..+$")  # what `write_atomically` writes to before it names the file


@dataclass(frozen=True)
class Orphan:
    """A file below the storage; ``partial``: it was never whole."""

    media_path: str
    bytes: int
    partial: bool


def orphans(lake: Lake) -> Iterator[Orphan]:
    """The files below ``media/clips`` that no row of any state of ``clips`` names, in order of name.

    Nothing is deleted: a job that is running has files that no row names yet.
    """
    root = lake.storage / "media" / "clips"
    if not root.is_dir():
        return
    # Below TMPDIR, without a name: there may be more names than memory has room for.
    with closing(sqlite3.connect("")) as named:
        named.execute("CREATE TABLE named (path TEXT PRIMARY KEY) WITHOUT ROWID")
        for paths in lake.media_paths():
            named.executemany("INSERT OR IGNORE INTO named VALUES (?)", ((path,) for path in paths))
        for folder in sorted(entry.name for entry in os.scandir(root) if entry.is_dir()):
            for entry in sorted(os.scandir(root / folder), key=lambda entry: entry.name):
                path = (Path("media") / "clips" / folder / entry.name).as_posix()
                if named.execute("SELECT 1 FROM named WHERE path = ?", (path,)).fetchone() is None:
                    yield Orphan(path, entry.stat().st_size, bool(_PART.match(entry.name)))
