"""Files named by URI: the file system behind one, and a local copy of a file for as long as it is read.

pyarrow's own file systems come first (file, s3, gs, abfs, hdfs); any other scheme goes through fsspec.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
from hummingbird.core.errors import InputError
from pyarrow import fs

from hummingbird_data.stage import StageError

_CHUNK = 8 << 20


def is_uri(name: str) -> bool:
    """Whether ``name`` is a URI (``s3://bucket/key``) and no path."""
    return "://" in name


def file_system(uri: str) -> tuple[fs.FileSystem, str]:
    """The file system of a URI, and the path within it.

    Raises:
        InputError: an unknown scheme, or one whose package is not installed.
    """
    try:
        found, path = fs.FileSystem.from_uri(uri)
        return found, str(path)
    except pa.ArrowInvalid:
        pass  # a scheme that pyarrow does not know itself
    try:
        import fsspec  # type: ignore[import-untyped]

        other, path = fsspec.core.url_to_fs(uri)
    except (ImportError, ValueError) as error:
        raise InputError(f"cannot open {uri}: {' '.join(str(error).split())}") from error
    return fs.PyFileSystem(fs.FSSpecHandler(other)), str(path)


def fingerprint(info: fs.FileInfo) -> str:
    """What changes when the file does."""
    return f"{info.size}-{info.mtime_ns}"


@contextmanager
def local_file(uri: str, folder: Path, megabytes: float) -> Iterator[Path]:
    """The file as a local path: itself, or for a URI a copy in ``folder`` that is deleted in the end.

    Raises:
        StageError: it cannot be read, or is larger than ``megabytes``, of which no more is copied.
    """
    if not is_uri(uri):
        yield Path(uri)
        return
    target = folder / "source"
    try:
        _copy(uri, target, megabytes)
        yield target
    finally:
        target.unlink(missing_ok=True)


def _copy(uri: str, target: Path, megabytes: float) -> None:
    size = 0
    try:
        system, path = file_system(uri)
        with system.open_input_stream(path) as source, target.open("wb") as file:
            while chunk := source.read(_CHUNK):
                size += len(chunk)
                if size > megabytes * 1e6:
                    raise StageError("fetch", f"more than the limit of {megabytes:.0f} MB")
                file.write(chunk)
    except InputError as error:
        raise StageError("fetch", str(error)) from error
    except StageError:
        raise
    except Exception as error:  # file systems of fsspec have errors of their own
        raise StageError("fetch", " ".join(str(error).split()) or type(error).__name__) from error
