"""Scratch: folders of this machine for what must have real files, when the storage is a URI.

``HUMMINGBIRD_SCRATCH`` (else a folder below the system's temporary one) holds ``copies`` of what was read, at most
``HUMMINGBIRD_SCRATCH_GB`` (100) of them, and the ``work`` folders of runs. A path in either says which URI it stands
for, so another machine that is given one finds the same files.
"""

import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hummingbird.core.errors import InputError
from hummingbird.core.files import AnyPath, as_path
from hummingbird.core.remote_path import RemotePath

if TYPE_CHECKING:
    from pyarrow import fs

_THREADS = 8
_CHUNK = 8 << 20
_IN_USE = 3600.0  # seconds: what was used since is never removed
_NO_HOST = "_"


def scratch_root() -> Path:
    """The folder of everything here."""
    root = os.environ.get("HUMMINGBIRD_SCRATCH")
    return Path(root).absolute() if root else Path(tempfile.gettempdir()) / f"hummingbird-{os.getuid()}"


def scratch_limit() -> int:
    """Bytes that copies may take."""
    return int(float(os.environ.get("HUMMINGBIRD_SCRATCH_GB", "100")) * 1e9)


def work_folder(place: AnyPath) -> Path:
    """Where files of ``place`` are written: the place itself, or of a URI a folder whose files go there later."""
    return place if isinstance(place, Path) else _local("work", place)


def origin(path: AnyPath) -> AnyPath:
    """The URI that a scratch path stands for; any other place is its own."""
    if isinstance(path, Path) and path.is_relative_to(scratch_root()):
        kind, *parts = path.relative_to(scratch_root()).parts
        if kind in ("copies", "work") and len(parts) >= 2:
            scheme, host, *key = parts
            return RemotePath(f"{scheme}://{'' if host == _NO_HOST else host}/{'/'.join(key)}")
    return path


def local_copy(place: str | AnyPath, unchanging: bool = False) -> Path:
    """A real file or folder with what is at ``place``: itself, or of a URI a copy, which nobody may change.

    Args:
        place: a path, a URI, or the scratch path of another machine.
        unchanging: what was copied before need not be compared with what is there now.

    Raises:
        FileNotFoundError: there is nothing at the URI.
        InputError: it is larger than all copies may be.
    """
    remote = origin(as_path(place))
    if isinstance(remote, Path):
        return remote
    target = _local("copies", remote)
    if unchanging and target.is_file():
        _use(target)
        return target
    with _lock_of(remote):
        download(remote, target)
    return target


def download(place: RemotePath, target: Path) -> None:
    """Makes ``target`` equal to the file or folder at ``place``; files with the same size and time stay.

    Raises:
        FileNotFoundError: there is nothing at the URI.
        InputError: it is larger than all copies may be.
    """
    if place.is_file():
        entries = [(place, target, place.info())]
    else:
        entries = [(path, target / path.relative_to(place), info) for path, info in place.files()]
        targets = {path for _, path, _ in entries}
        for path in list(target.rglob("*")) if target.is_dir() else ():
            if path.is_file() and path not in targets and path.name != ".lock":
                path.unlink()
    if not entries:
        raise FileNotFoundError(f"there is nothing at {place}")
    missing = [entry for entry in entries if not _same(entry[1], entry[2])]
    _make_room(sum(info.size for *_, info in missing), keep={path for _, path, _ in entries})
    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(lambda entry: _fetch(*entry), missing))
    for _, path, _ in entries:
        _use(path)


def upload(folder: Path, place: RemotePath) -> None:
    """Puts the files of a folder at ``place``; those that are there with the same size and time stay as they are.

    Files that begin with a dot are left out. Nothing is removed there.
    """
    uploaded = {str(path): info for path, info in place.files()}
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))

    def put(path: Path) -> None:
        target = place / path.relative_to(folder)
        if (info := uploaded.get(str(target))) is not None and _same(path, info):
            return
        with path.open("rb") as source, target.open("wb") as sink:
            shutil.copyfileobj(source, sink, _CHUNK)
        _date(path, target.info())

    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(put, paths))


def keep_as_copy(folder: Path) -> None:
    """Turns a run's work folder, which is at its URI now, into the copy that the next reader looks for."""
    place = origin(folder)
    if isinstance(place, Path):
        raise ValueError(f"{folder} is no work folder")
    target = _local("copies", place)
    with _lock_of(place):
        shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(target)


def _local(kind: str, place: RemotePath) -> Path:
    scheme, host, *key = place.parts
    root = scratch_root()
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    if root.stat().st_uid != os.getuid():  # the temporary folder is everyone's
        raise InputError(f"{root} belongs to someone else: set HUMMINGBIRD_SCRATCH to a folder of your own")
    return root.joinpath(kind, scheme, host or _NO_HOST, *key)


def _fetch(place: RemotePath, target: Path, info: "fs.FileInfo") -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with place.open("rb") as source, partial.open("wb") as sink:
            shutil.copyfileobj(source, sink, _CHUNK)
        _date(partial, info)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _same(path: Path, info: "fs.FileInfo") -> bool:
    """Whether a local file was copied from, or to, the file of ``info``: it has the same size and time."""
    if not path.is_file() or info.mtime_ns is None:
        return False
    status = path.stat()
    return status.st_size == info.size and status.st_mtime_ns == info.mtime_ns


def _date(path: Path, info: "fs.FileInfo") -> None:
    if info.mtime_ns is not None:
        os.utime(path, ns=(time.time_ns(), info.mtime_ns))


def _use(path: Path) -> None:
    """The time of access says what was used last, also where the system does not keep it."""
    os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))


_unchecked = 0.0  # bytes that this process may still fetch before it counts all copies again


def _make_room(size: int, keep: set[Path]) -> None:
    """Removes the copies that were used longest ago until ``size`` bytes more fit (about: others copy too)."""
    global _unchecked
    limit = scratch_limit()
    if size > limit:
        raise InputError(
            f"a copy of {size / 1e9:.1f} GB is more than HUMMINGBIRD_SCRATCH_GB={limit / 1e9:g} allows in "
            f"{scratch_root()}"
        )
    if size <= _unchecked:
        _unchecked -= size
        return
    copies = [
        (status.st_atime, status.st_size, path)
        for path in (scratch_root() / "copies").rglob("*")
        if path.is_file() and (status := path.stat())
    ]
    total, now = sum(bytes_ for _, bytes_, _ in copies), time.time()
    for used, bytes_, path in sorted(copies):
        if total + size <= limit or now - used < _IN_USE:
            break
        if path not in keep:
            path.unlink(missing_ok=True)
            total -= bytes_
    _unchecked = max(0.0, min(limit - total - size, limit / 100))


@contextmanager
def _lock_of(place: RemotePath) -> Iterator[None]:
    """One process of this machine at a time copies a place."""
    folder = scratch_root() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / hashlib.sha256(str(place).encode()).hexdigest()[:24]).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
