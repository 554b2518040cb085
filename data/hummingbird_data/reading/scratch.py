"""Folders for the work on one file. A process that is killed leaves its own; the next one sweeps it away."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX = "hummingbird-scratch-"


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder below ``TMPDIR``, removed in the end. A lock, which the system releases, says that it is in use."""
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def sweep() -> list[Path]:
    """Removes the folders of this user's processes that are gone, and returns them."""
    swept = []
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            handle = os.open(folder, os.O_RDONLY)
        except OSError:  # gone meanwhile, or another user's
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # One that is that empty may have been made this very moment, and not be locked yet.
            if any(folder.iterdir()):
                shutil.rmtree(folder, ignore_errors=True)
                swept.append(folder)
        except OSError:  # locked: in use
            continue
        finally:
            os.close(handle)
    return swept
