"""A place named by a URI, of any file system that pyarrow or fsspec knows, with pathlib's words."""

import fnmatch
import io
import os
import posixpath
from collections.abc import Iterator
from functools import cache
from pathlib import PurePath, PurePosixPath
from typing import IO, TYPE_CHECKING, Any

from hummingbird.core.errors import InputError

if TYPE_CHECKING:  # most processes that read settings never open a remote file
    from pyarrow import fs


def is_uri(name: str) -> bool:
    """Whether ``name`` is a URI (``s3://bucket/key``) and no path."""
    return "://" in name


def file_system(uri: str) -> "tuple[fs.FileSystem, str]":
    """The file system of a URI, and the path within it: pyarrow's own (file, s3, gs, abfs, hdfs), else fsspec's.

    Raises:
        InputError: an unknown scheme, or one whose package is not installed.
    """
    import pyarrow as pa
    from pyarrow import fs

    scheme, _, rest = uri.partition("://")
    if scheme in ("s3", "s3a"):
        # Not from the URI: pyarrow would ask AWS where the bucket is. The keys it takes from the environment itself,
        # so that they do not travel where a file system is sent to workers.
        where = {
            name: value for name, value in s3_options().items() if name in ("region", "endpoint_override")
        }
        return fs.S3FileSystem(**where), rest.rstrip("/")
    try:
        native, path = fs.FileSystem.from_uri(uri)
        return native, str(path)
    except pa.ArrowInvalid:
        pass  # a scheme that pyarrow does not know itself
    try:
        import fsspec  # type: ignore[import-untyped]

        other, path = fsspec.core.url_to_fs(uri)
    except (ImportError, ValueError) as error:
        raise InputError(f"cannot open {uri}: {' '.join(str(error).split())}") from error
    return fs.PyFileSystem(fs.FSSpecHandler(other)), str(path)


def s3_options() -> dict[str, Any]:
    """What AWS's standard variables say, as options of `pyarrow.fs.S3FileSystem`; of what they do not say there is none
    (credentials then come from profiles or the machine's role)."""
    variables = {
        "access_key": ("AWS_ACCESS_KEY_ID",),
        "secret_key": ("AWS_SECRET_ACCESS_KEY",),
        "session_token": ("AWS_SESSION_TOKEN",),
        "region": ("AWS_REGION", "AWS_DEFAULT_REGION"),
        "endpoint_override": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
    }
    values = {
        option: next((value for name in names if (value := os.environ.get(name))), None)
        for option, names in variables.items()
    }
    if values["access_key"] is None or values["secret_key"] is None:
        values |= {"access_key": None, "secret_key": None, "session_token": None}
    return {option: value for option, value in values.items() if value is not None}


@cache
def _root(root: str) -> "tuple[fs.FileSystem, str]":
    return file_system(root)


class RemotePath:
    """A place named by a URI, ``scheme://host/key``. Folders are prefixes: they need not be made.

    It is no `os.PathLike`, so that it is never taken for a file on this machine by mistake.

    Raises:
        ValueError: no URI, or one with ``..`` in it.
    """

    def __init__(self, uri: str) -> None:
        scheme, separator, rest = uri.partition("://")
        host, _, key = rest.partition("/")
        parts = [part for part in key.split("/") if part not in ("", ".")]
        if not separator or not scheme or ".." in parts:
            raise ValueError(f"{uri!r} is no URI of a file or folder")
        self._root, self._key = f"{scheme}://{host}", "/".join(parts)

    def __str__(self) -> str:
        return f"{self._root}/{self._key}" if self._key else self._root

    def __repr__(self) -> str:
        return f"RemotePath({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemotePath) and str(self) == str(other)

    def __lt__(self, other: "RemotePath") -> bool:
        return str(self) < str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __truediv__(self, below: str | PurePath) -> "RemotePath":
        name = below.as_posix() if isinstance(below, PurePath) else below
        if name.startswith("/"):
            raise ValueError(f"{name!r} is not below {self}")
        return RemotePath(f"{self}/{name}")

    def expanduser(self) -> "RemotePath":
        return self

    @property
    def name(self) -> str:
        return self._key.rpartition("/")[2]

    @property
    def suffix(self) -> str:
        return PurePosixPath(self._key).suffix

    @property
    def stem(self) -> str:
        return PurePosixPath(self._key).stem

    @property
    def parent(self) -> "RemotePath":
        return RemotePath(f"{self._root}/{posixpath.dirname(self._key)}")

    @property
    def parts(self) -> tuple[str, ...]:
        """Scheme, host, then the names of folders and file."""
        scheme, _, host = self._root.partition("://")
        return (scheme, host, *(self._key.split("/") if self._key else ()))

    def with_name(self, name: str) -> "RemotePath":
        return self.parent / name

    def with_suffix(self, suffix: str) -> "RemotePath":
        return self.with_name(self.stem + suffix)

    def relative_to(self, other: "RemotePath") -> PurePosixPath:
        """Raises ValueError where it is not below ``other``."""
        return PurePosixPath(str(self)).relative_to(PurePosixPath(str(other)))

    def system(self) -> "tuple[fs.FileSystem, str]":
        """The file system, and the path within it."""
        # The root alone goes through a parser of URIs: keys may hold what means something there (# ? %).
        system, base = _root(self._root)
        return system, f"{base.rstrip('/')}/{self._key}".rstrip("/")

    def info(self) -> "fs.FileInfo":
        """Kind, size and time of change."""
        system, path = self.system()
        return system.get_file_info(path)

    def exists(self) -> bool:
        from pyarrow import fs

        return bool(self.info().type != fs.FileType.NotFound)

    def is_file(self) -> bool:
        return bool(self.info().is_file)

    def is_dir(self) -> bool:
        from pyarrow import fs

        return bool(self.info().type == fs.FileType.Directory)

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        """Nothing to do: a folder is there as soon as something is in it."""

    def open(self, mode: str = "r", encoding: str | None = None, newline: str | None = None) -> IO[Any]:
        """Reads (``r``) or writes anew (``w``); what is written appears when it is closed."""
        system, path = self.system()
        kind, binary = mode.replace("b", ""), "b" in mode
        if kind not in ("r", "w"):
            raise ValueError(
                f"{self}: files in this place can be read or written whole, not opened as {mode!r}"
            )
        raw: Any = self._reader(system, path) if kind == "r" else self._writer(system, path)
        return raw if binary else io.TextIOWrapper(raw, encoding=encoding or "utf-8", newline=newline)

    def _reader(self, system: "fs.FileSystem", path: str) -> Any:
        try:
            return system.open_input_file(path)
        except FileNotFoundError as error:
            raise FileNotFoundError(f"there is no {self}") from error

    def _writer(self, system: "fs.FileSystem", path: str) -> Any:
        try:
            return system.open_output_stream(path)
        except FileNotFoundError:  # a file system that has real folders
            system.create_dir(posixpath.dirname(path), recursive=True)
            return system.open_output_stream(path)

    def read_bytes(self) -> bytes:
        with self.open("rb") as file:
            return bytes(file.read())

    def read_text(self, encoding: str | None = None) -> str:
        return self.read_bytes().decode(encoding or "utf-8")

    def write_bytes(self, content: bytes) -> None:
        with self.open("wb") as file:
            file.write(content)

    def write_text(self, content: str, encoding: str | None = None) -> None:
        self.write_bytes(content.encode(encoding or "utf-8"))

    def files(self, recursive: bool = True) -> "Iterator[tuple[RemotePath, fs.FileInfo]]":
        """The files below, in order of name, with size and time of change; none where there is no such folder."""
        for path, info in self._below(recursive):
            if info.is_file:
                yield path, info

    def iterdir(self) -> "Iterator[RemotePath]":
        for path, _ in self._below(recursive=False):
            yield path

    def glob(self, pattern: str) -> "Iterator[RemotePath]":
        """What lies in this very folder and fits ``pattern``."""
        return (path for path in self.iterdir() if fnmatch.fnmatchcase(path.name, pattern))

    def unlink(self, missing_ok: bool = False) -> None:
        system, path = self.system()
        try:
            system.delete_file(path)
        except FileNotFoundError:
            if not missing_ok:
                raise

    def _below(self, recursive: bool) -> "Iterator[tuple[RemotePath, fs.FileInfo]]":
        from pyarrow import fs

        system, path = self.system()
        infos = system.get_file_info(fs.FileSelector(path, allow_not_found=True, recursive=recursive))
        for info in sorted(infos, key=lambda info: info.path):
            yield self / info.path.rstrip("/").removeprefix(path).lstrip("/"), info
