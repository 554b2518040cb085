"""What is curated: files of a folder, a glob, object storage or a manifest, in batches committed together.

The list of sources lies in a temporary SQLite file, sorted by name: memory stays flat as a library grows, and
neither the order of a manifest nor that of a listing changes anything.
"""

import csv
import hashlib
import heapq
import io
import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hummingbird.core.errors import InputError
from hummingbird.core.remote_path import file_system, is_uri
from pyarrow import fs

from hummingbird_data.runtime.temporary import TemporaryDatabase
from hummingbird_data.sources.listing import ListedFile, has_pattern, list_files, split_pattern
from hummingbird_data.sources.manifests import ManifestColumns, is_manifest, read_manifest

log = logging.getLogger(__name__)

CAPTIONS_FILE = "captions.csv"
_TABLES = """
    CREATE TABLE source (uri TEXT PRIMARY KEY, relative TEXT, caption TEXT, fingerprint TEXT) WITHOUT ROWID;
    CREATE TABLE listed (relative TEXT PRIMARY KEY, caption TEXT) WITHOUT ROWID;
"""
_SELECT = (
    "SELECT uri, coalesce(listed.caption, source.caption), fingerprint "
    "FROM source LEFT JOIN listed USING (relative)"
)


@dataclass(frozen=True)
class Source:
    """A file to curate, with the caption that came with it. ``fingerprint`` changes when the file does."""

    uri: str
    caption: str | None
    fingerprint: str


class Sources(TemporaryDatabase):
    """The sources in order of their names, each once; on disk until closed."""

    def __init__(self) -> None:
        super().__init__(_TABLES)
        self.repeated = 0
        self._whole: tuple[int, str] | None = None

    def __len__(self) -> int:
        return int(self.database.execute("SELECT count(*) FROM source").fetchone()[0])

    def __contains__(self, uri: str) -> bool:
        return self.database.execute("SELECT 1 FROM source WHERE uri = ?", (uri,)).fetchone() is not None

    def __iter__(self) -> Iterator[Source]:
        for uri, caption, fingerprint in self.database.execute(f"{_SELECT} ORDER BY uri"):
            yield Source(uri, caption or None, fingerprint)

    def get(self, uri: str) -> Source | None:
        """The source of that name, if it is one."""
        row = self.database.execute(f"{_SELECT} WHERE uri = ?", (uri,)).fetchone()
        return None if row is None else Source(row[0], row[1] or None, row[2])

    @property
    def root(self) -> str:
        """The folder that all of them are below; empty where there is none."""
        if self._whole is not None:
            return self._whole[1]
        first, last = self.database.execute("SELECT min(uri), max(uri) FROM source").fetchone()
        common = os.path.commonprefix([first or "", last or ""])  # noqa: RUF071 (URIs are no paths; cut below)
        return common.rpartition("/")[0]

    @property
    def total(self) -> int:
        """How many there were before `sample`."""
        return len(self) if self._whole is None else self._whole[0]

    def sample(self, count: int) -> None:
        """Keeps ``count`` of them, spread over all, and the same ones each time: those whose names hash lowest."""
        self._whole = len(self), self.root
        names = (uri for (uri,) in self.database.execute("SELECT uri FROM source"))
        kept = heapq.nsmallest(count, names, key=lambda uri: (_digest(uri), uri))
        self.database.execute("CREATE TEMP TABLE sampled (uri TEXT PRIMARY KEY) WITHOUT ROWID")
        self.database.executemany("INSERT INTO sampled VALUES (?)", ((uri,) for uri in kept))
        self.database.execute("DELETE FROM source WHERE uri NOT IN (SELECT uri FROM sampled)")

    def add(self, uri: str, relative: str | None, caption: str | None, fingerprint: str) -> None:
        """Adds a source; of several with the same ``uri`` the first counts."""
        values = [None if text is None else _storable(text) for text in (uri, relative, caption, fingerprint)]
        done = self.database.execute("INSERT OR IGNORE INTO source VALUES (?, ?, ?, ?)", values)
        self.repeated += 1 - done.rowcount

    def list_caption(self, relative: str, caption: str) -> None:
        """A caption of captions.csv, for the source at ``relative``; it goes before the text file's."""
        self.database.execute("INSERT OR REPLACE INTO listed VALUES (?, ?)", (relative, caption))


def find_sources(source: Path | str | None, columns: ManifestColumns | None = None) -> Sources:
    """The files that ``source`` names: a folder, a glob, either as a URI, or a manifest.

    Of a folder or glob, every file counts but for hidden ones and captions: one that is no video must end in
    quarantine, not in silence. Captions come from ``captions.csv`` in the folder (columns uri, relative to it,
    and caption) or from a text file beside the video with the same name but for ``.txt``. Of a manifest, every
    row is a source.

    Raises:
        InputError: there is nothing of that name, no file in it, or a list without its columns.
    """
    if source is None:
        raise InputError("no source: name a folder, a glob, a URI or a manifest with --source")
    name = str(source)
    sources = Sources()
    try:
        if is_manifest(name) and not _is_folder(name) and not has_pattern(name):
            _add_manifest(sources, name, columns or ManifestColumns())
        elif has_pattern(name):
            _add_listing(sources, *split_pattern(name))
        else:
            _check_folder(name)
            _add_listing(sources, name, None)
        if not len(sources):
            raise InputError(f"there are no files in {name}")
        if sources.repeated:
            log.warning("%d rows of %s name a file again; the first counts", sources.repeated, name)
    except BaseException:
        sources.close()
        raise
    return sources


def _add_manifest(sources: Sources, name: str, columns: ManifestColumns) -> None:
    if not is_uri(name) and not Path(name).is_file():
        raise InputError(f"there is no manifest {name}")
    for uri, caption in read_manifest(name, columns):
        sources.add(uri, None, caption, _local_fingerprint(uri))


def _add_listing(sources: Sources, root: str, pattern: str | None) -> None:
    listed = False
    for file in list_files(root, pattern):
        if file.relative == CAPTIONS_FILE:
            listed = True
        else:
            _add_file(sources, file)
    if listed or (pattern is not None and _is_file(f"{root}/{CAPTIONS_FILE}")):
        _read_captions(sources, f"{root.rstrip('/')}/{CAPTIONS_FILE}")


def _add_file(sources: Sources, file: ListedFile) -> None:
    sources.add(file.uri, file.relative, file.caption, file.fingerprint)


def _local_fingerprint(uri: str) -> str:
    """Asking object storage for each row of a manifest would take hours; its objects rarely change."""
    if is_uri(uri):
        return ""
    try:
        status = Path(uri).stat()
    except OSError:
        return "missing"  # reading it will say so, in quarantine
    return f"{status.st_size}-{status.st_mtime_ns}"


def _is_folder(name: str) -> bool:
    return not is_uri(name) and Path(name).is_dir()


def _is_file(name: str) -> bool:
    if not is_uri(name):
        return Path(name).is_file()
    system, path = file_system(name)
    return bool(system.get_file_info(path).type == fs.FileType.File)


def _check_folder(name: str) -> None:
    if is_uri(name):
        system, path = file_system(name)
        try:
            kind = system.get_file_info(path.rstrip("/") or "/").type
        except OSError as error:
            raise InputError(f"cannot look at {name}: {' '.join(str(error).split())}") from error
        there, folder = kind != fs.FileType.NotFound, kind == fs.FileType.Directory
    else:
        there, folder = Path(name).exists(), Path(name).is_dir()
    if not there:
        raise InputError(f"there is no folder {name}")
    if not folder:
        raise InputError(
            f"{name} is no folder; give the folder that holds the video files, a glob, or a manifest "
            "(.csv, .jsonl, .parquet)"
        )


def _read_captions(sources: Sources, name: str) -> None:
    if is_uri(name):
        system, path = file_system(name)
        stream = system.open_input_file(path)
    else:
        stream = Path(name).open("rb")  # noqa: SIM115 (closed with the reader around it)
    with io.TextIOWrapper(stream, encoding="utf-8-sig", errors="replace", newline="") as file:
        reader = csv.DictReader(file)
        if not {"uri", "caption"} <= set(reader.fieldnames or ()):
            there = ", ".join(reader.fieldnames or ()) or "none"
            raise InputError(f"{name} needs the columns uri and caption, it has {there}")
        try:
            for row in reader:
                if row["uri"]:
                    sources.list_caption(row["uri"], (row["caption"] or "").strip())
        except csv.Error as error:  # a quote that never ends, a byte that is none of text
            raise InputError(f"cannot read {name} after line {reader.line_num}: {error}") from error


def batch_prefix(key: str) -> str:
    """What the ids of all batches of one ``key`` begin with."""
    return f"{_digest(key)[:8]}-"


def batch_id(batch: Iterable[Source], key: str) -> str:
    """The id of files that are committed together: of the settings (``key``), the files and their content."""
    lines = [f"{source.uri}\t{source.fingerprint}\t{source.caption}" for source in batch]
    return batch_prefix(key) + _digest("\n".join([key, *lines]))[:24]


def _digest(text: str) -> str:
    return hashlib.sha256(os.fsencode(text)).hexdigest()


def _storable(text: str) -> str:
    """A name that is not UTF-8 cannot be a value in a table: its bytes are spelt out, and reading it fails."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
