"""Files at a place: a local folder, or a URI of any file system that pyarrow or fsspec knows.

A local place is a plain `pathlib.Path` and costs nothing extra. A URI is a `RemotePath`, which has the part of
pathlib's interface that the project uses, so that most code need not know which of the two it holds. What must have
real files works in scratch folders (`hummingbird.core.scratch`).
"""

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator

from hummingbird.core.errors import InputError
from hummingbird.core.remote_path import RemotePath, is_uri

AnyPath = Path | RemotePath


def as_path(place: str | Path | RemotePath) -> AnyPath:
    """A `RemotePath` of a URI, else a path of this machine (``file://`` is one)."""
    if isinstance(place, str) and is_uri(place):
        return Path(place.removeprefix("file://")) if place.startswith("file://") else RemotePath(place)
    return place if isinstance(place, RemotePath) else Path(place)


def _storage(value: Any) -> AnyPath:
    if not isinstance(value, str | Path | RemotePath):
        raise ValueError("must be a folder or a URI")
    place = as_path(value)
    if isinstance(place, Path):
        if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", str(place)):  # a path has one slash of a URI's two
            raise ValueError("must be a folder, or a URI as text")
        return place.expanduser().absolute()
    if ":" in place.parts[1].rpartition("@")[0]:
        raise ValueError("a URI must not hold a password; credentials come from the environment")
    if "?" in str(place):
        raise ValueError(
            "a URI must not hold options: they come from the environment (AWS_ENDPOINT_URL, ...)"
        )
    return place


StoragePath = Annotated[
    Path | RemotePath, PlainValidator(_storage), PlainSerializer(str, return_type=str, when_used="json")
]
"""In settings: a folder, which is made absolute once, on the driver (workers run in other folders), or a URI."""


def file_size(path: AnyPath) -> int:
    """Bytes of a file. Raises FileNotFoundError where there is none."""
    if not isinstance(path, RemotePath):
        return path.stat().st_size
    size = path.info().size
    if size is None:
        raise FileNotFoundError(str(path))
    return int(size)


def write_atomically(target: AnyPath, content: bytes) -> None:
    """Writes a file that appears whole or not at all, making its folder if need be."""
    if isinstance(target, RemotePath):
        target.write_bytes(content)
        return
    _write_beside(target, content, lambda written: written.replace(target))


def create(target: AnyPath, content: bytes) -> None:
    """Writes a file that is not there yet, whole; of several who do so at once one succeeds.

    Raises:
        FileExistsError: it is there.
        InputError: this kind of place cannot promise it.
    """
    if isinstance(target, Path):

        def name(written: Path) -> None:
            try:
                os.link(written, target)
            finally:
                written.unlink()

        _write_beside(target, content, name)
        return
    from pyarrow import fs

    system, path = target.system()
    if not (isinstance(system, fs.PyFileSystem) and _creates(system.handler.fs)):
        raise InputError(f"{target}: this file system cannot create a file only where there is none")
    system.handler.fs.pipe_file(path, content, mode="create")


def _creates(system: Any) -> bool:
    """Whether a file system of fsspec has its own ``pipe_file``: the inherited one takes no notice of the mode."""
    from fsspec import AbstractFileSystem  # type: ignore[import-untyped]

    return type(system).pipe_file is not AbstractFileSystem.pipe_file


def remove_tree(folder: AnyPath) -> None:
    """Removes a folder with all that is in it; nothing happens where there is none."""
    if isinstance(folder, Path):
        if folder.exists():
            shutil.rmtree(folder)
    elif folder.is_dir():
        system, path = folder.system()
        system.delete_dir(path)


def _write_beside(target: Path, content: bytes, name: Any) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        name(Path(temporary))
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
