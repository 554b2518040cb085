"""Media files that no row names: left behind by a job that was killed, or by rows that were replaced."""

import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from hummingbird.core.files import AnyPath
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
        for folder in sorted(path.name for path in root.iterdir() if path.is_dir()):
            for name, size in _files(root / folder):
                path = f"media/clips/{folder}/{name}"
                if named.execute("SELECT 1 FROM named WHERE path = ?", (path,)).fetchone() is None:
                    yield Orphan(path, size, bool(_PART.match(name)))


def _files(folder: AnyPath) -> Iterable[tuple[str, int]]:
    """Names and sizes of the files of a folder, in order of name, in one listing where it is remote."""
    if isinstance(folder, Path):
        return ((path.name, path.stat().st_size) for path in sorted(folder.iterdir()))
    return ((path.name, info.size) for path, info in folder.files(recursive=False))
