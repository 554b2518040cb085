"""Files named by URI: what changes when one does, and a local copy of one for as long as it is read."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hummingbird.core.errors import InputError
from hummingbird.core.remote_path import file_system, is_uri
from hummingbird.core.shared_folder import NotSharedError, this_machine
from pyarrow import fs

from hummingbird_data.stage import StageError

_CHUNK = 8 << 20


def fingerprint(info: fs.FileInfo) -> str:
    """What changes when the file does."""
    return f"{info.size}-{info.mtime_ns}"


@contextmanager
def local_file(uri: str, folder: Path, megabytes: float) -> Iterator[Path]:
    """The file as a local path: itself, or for a URI a copy in ``folder`` that is deleted in the end.

    Raises:
        NotSharedError: this node does not see the folder of the file.
        StageError: it cannot be read, or is larger than ``megabytes``, of which no more is copied.
    """
    if not is_uri(uri):
        path = Path(uri)
        if not path.exists() and not (path.parent.is_dir() and any(path.parent.iterdir())):
            # The driver found it there: one file may have gone since, but not the folder with all that is in it.
            raise NotSharedError(
                f"the node {this_machine()} does not see the source folder {path.parent}: mount it there as it is "
                "on the others, or name the source by its URI"
            )
        yield path
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
