"""Media files of clips: stored once under the hash of their content, never changed, never overwritten."""

import hashlib
from dataclasses import dataclass
from pathlib import PurePosixPath

from hummingbird.core.files import AnyPath, write_atomically


@dataclass(frozen=True)
class StoredMedia:
    """A stored file."""

    content_hash: str
    """SHA-256 (hex) of the content."""
    media_path: str
    """Path relative to the storage, as the column ``media_path`` of clips holds it."""


def store_media(storage: AnyPath, content: bytes) -> StoredMedia:
    """Stores an mp4 file at ``media/clips/<aa>/<sha256>.mp4``; workers may do so at the same time.

    The same content again is the same file. The file appears whole or not at all.
    """
    digest = hashlib.sha256(content).hexdigest()
    relative = PurePosixPath("media") / "clips" / digest[:2] / f"{digest}.mp4"
    target = storage / relative
    if not target.exists():
        write_atomically(target, content)
    return StoredMedia(digest, relative.as_posix())
