"""Media files of clips: stored once under the hash of their content, never changed, never overwritten."""

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class StoredMedia:
    """A stored file."""

    content_hash: str
    """SHA-256 (hex) of the content."""
    media_path: str
    """Path relative to the storage, as the column ``media_path`` of clips holds it."""


def store_media(storage: Path, content: bytes) -> StoredMedia:
    """Stores an mp4 file at ``media/clips/<aa>/<sha256>.mp4``; workers may do so at the same time.

    The same content again is the same file. The file appears whole or not at all.
    """
    digest = hashlib.sha256(content).hexdigest()
    relative = Path("media") / "clips" / digest[:2] / f"{digest}.mp4"
    target = storage / relative
    if not target.exists():
        write_atomically(target, content)
    return StoredMedia(digest, relative.as_posix())


def write_atomically(target: Path, content: bytes) -> None:
    """Writes a file that appears whole or not at all, making its folder if need be."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
