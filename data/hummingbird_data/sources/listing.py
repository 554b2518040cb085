"""Files below a folder, here or in object storage, one folder at a time.

Memory holds the names of one folder and of those above it, however many files there are in all.
"""

import logging
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from hummingbird.core.errors import InputError
from hummingbird.core.remote_path import file_system, is_uri
from pyarrow import fs

from hummingbird_data.sources.remote import fingerprint

log = logging.getLogger(__name__)

_MAGIC = re.compile(r"[*?[]")


@dataclass(frozen=True)
class ListedFile:
    """A file: its name, its path below the root, what changes with it, and the text file beside it."""

    uri: str
    relative: str
    fingerprint: str
    caption: str | None


@dataclass(frozen=True)
class _Entry:
    name: str
    folder: bool
    fingerprint: str


def has_pattern(name: str) -> bool:
    """Whether ``name`` is a glob and no name of a file or folder that is there."""
    return bool(_MAGIC.search(name)) and (is_uri(name) or not Path(name).exists())


def split_pattern(name: str) -> tuple[str, str]:
    """The folder before the first wildcard of a glob, and the pattern below it."""
    before = name[: _MAGIC.search(name).start()]  # type: ignore[union-attr]  # it has one
    root, _, rest = before.rpartition("/")
    return root or "/", rest + name[len(before) :]


def list_files(root: str, pattern: str | None = None) -> Iterator[ListedFile]:
    """Every file below ``root`` (a folder's path or URI), or those whose relative path fits the glob.

    Hidden files and folders are left out, and so are text files that are captions: ``a.txt`` beside ``a.mp4``.
    In a glob ``*``, ``?`` and ``[...]`` stay within a folder's name and ``**/`` spans folders.

    Raises:
        InputError: there is no such folder, or it cannot be listed.
    """
    chosen = re.compile(_translated(pattern)) if pattern is not None else None
    if is_uri(root):
        system, path = file_system(root)
        entries, read = _remote(system, path)
    else:
        entries, read = _local(root)
    for file in _walk(root.rstrip("/"), "", entries, read):
        if chosen is None or chosen.fullmatch(file.relative):
            yield file


def _walk(
    root: str, below: str, entries: Callable[[str], list[_Entry]], read: Callable[[str], str]
) -> Iterator[ListedFile]:
    there = [entry for entry in entries(below) if not entry.name.startswith(".")]
    texts = {e.name[:-4]: e.name for e in there if not e.folder and e.name.endswith(".txt")}
    stems = {str(PurePosixPath(e.name).with_suffix("")) for e in there if not e.name.endswith(".txt")}
    for entry in sorted(there, key=lambda e: e.name):
        relative = below + entry.name
        if entry.folder:
            yield from _walk(root, f"{relative}/", entries, read)
            continue
        stem = str(PurePosixPath(entry.name).with_suffix(""))
        if entry.name.endswith(".txt") and stem in stems:
            continue
        text = texts.get(stem) if not entry.name.endswith(".txt") else None
        caption = read(below + text).strip() if text is not None else None
        yield ListedFile(f"{root}/{relative}", relative, entry.fingerprint, caption)


def _local(root: str) -> tuple[Callable[[str], list[_Entry]], Callable[[str], str]]:
    def entries(below: str) -> list[_Entry]:
        listed = []
        try:
            with os.scandir(Path(root, below)) as items:
                for item in items:
                    folder = item.is_dir(follow_symlinks=False)
                    if item.is_symlink() and item.is_dir():
                        # It could lead back to a folder above it.
                        log.warning("the folder %s is a link: not looked into", item.path)
                    elif item.is_symlink() and not Path(item).exists():
                        log.warning("the link %s leads nowhere", item.path)
                        if not item.name.endswith(".txt"):  # reading it will end in quarantine
                            listed.append(_Entry(item.name, False, "missing"))
                    elif folder or item.is_file():
                        status = item.stat()
                        listed.append(_Entry(item.name, folder, f"{status.st_size}-{status.st_mtime_ns}"))
        except OSError as error:
            raise InputError(f"cannot list the folder {Path(root, below)}: {error.strerror}") from error
        return listed

    return entries, lambda name: Path(root, name).read_text(encoding="utf-8", errors="replace")


def _remote(system: fs.FileSystem, path: str) -> tuple[Callable[[str], list[_Entry]], Callable[[str], str]]:
    base = path.rstrip("/")

    def entries(below: str) -> list[_Entry]:
        try:
            infos = system.get_file_info(fs.FileSelector(f"{base}/{below}".rstrip("/") or "/"))
        except OSError as error:
            raise InputError(f"cannot list {base}/{below}: {' '.join(str(error).split())}") from error
        kinds = (fs.FileType.File, fs.FileType.Directory)
        return [
            _Entry(info.base_name, info.type == fs.FileType.Directory, fingerprint(info))
            for info in infos
            if info.type in kinds and info.base_name
        ]

    def read(name: str) -> str:
        with system.open_input_stream(f"{base}/{name}") as file:
            content: bytes = file.read()
        return content.decode("utf-8", errors="replace")

    return entries, read


def _translated(pattern: str) -> str:
    """A glob as a regular expression."""
    parts = []
    for piece in re.findall(r"\*\*/|\*+|\?|\[[^]]+\]|.", pattern):
        if piece == "**/":
            parts.append("(?:.*/)?")
        elif piece.startswith("*"):
            parts.append(".*" if piece == "**" else "[^/]*")
        elif piece == "?":
            parts.append("[^/]")
        elif len(piece) > 1:
            inside = piece[1:-1].replace("\\", r"\\")
            parts.append(f"[^/{inside[1:]}]" if inside.startswith("!") else f"[{inside}]")
        else:
            parts.append(re.escape(piece))
    return "".join(parts)
