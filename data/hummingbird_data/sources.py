"""Source files of a folder, with the captions that came with them, in batches that are committed together."""

import csv
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hummingbird.config.section import InputError

CAPTIONS_FILE = "captions.csv"


@dataclass(frozen=True)
class Source:
    """A file to curate, with the caption that came with it. ``fingerprint`` changes when the file does."""

    uri: str
    caption: str | None
    fingerprint: str


def find_sources(folder: Path | None) -> list[Source]:
    """Every file of ``folder`` and its subfolders in order of name, but for hidden files and captions.

    Captions come from ``captions.csv`` (columns uri, relative to the folder, and caption) or from a text file
    beside the video with the same name but for ``.txt``. A file that is no video is a source too: it must end
    in quarantine, not in silence.

    Raises:
        InputError: no such folder, no file in it, or a captions.csv without its columns.
    """
    if folder is None:
        raise InputError("no source: name a folder of video files with --source FOLDER")
    if not folder.exists():
        raise InputError(f"there is no folder {folder}")
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; give the folder that holds the video files")
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not _hidden(path, folder))
    listed = _listed_captions(folder / CAPTIONS_FILE)
    stems = {path.with_suffix("") for path in files if path.suffix != ".txt"}
    sources = []
    for path in files:
        relative = path.relative_to(folder).as_posix()
        sidecar = path.suffix == ".txt" and path.with_suffix("") in stems
        if relative == CAPTIONS_FILE or sidecar:
            continue
        text = path.with_suffix(".txt")
        caption = listed.get(relative)
        if caption is None and text != path and text.is_file():
            caption = text.read_text(encoding="utf-8", errors="replace").strip()
        status = path.stat()
        sources.append(Source(str(path), caption or None, f"{status.st_size}-{status.st_mtime_ns}"))
    if not sources:
        raise InputError(f"there are no files in {folder}")
    return sources


def batches(sources: list[Source], size: int, key: str) -> Iterator[tuple[str, list[Source]]]:
    """Batches of about ``size`` sources (at most twice that), in order, each with its id.

    Where a batch ends depends on names alone, so that a new file changes one batch and not all after it. The
    id depends on ``key`` (the settings) and on the files, so a changed file makes a new batch.
    """
    batch: list[Source] = []
    for source in sources:
        batch.append(source)
        if int(_digest(source.uri)[:8], 16) % size == 0 or len(batch) == 2 * size:
            yield _batch_id(batch, key), batch
            batch = []
    if batch:
        yield _batch_id(batch, key), batch


def _batch_id(batch: list[Source], key: str) -> str:
    lines = [f"{source.uri}\t{source.fingerprint}\t{source.caption}" for source in batch]
    return _digest("\n".join([key, *lines]))[:24]


def _digest(text: str) -> str:
    return hashlib.sha256(os.fsencode(text)).hexdigest()


def _hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _listed_captions(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        reader = csv.DictReader(file)
        if not {"uri", "caption"} <= set(reader.fieldnames or ()):
            columns = ", ".join(reader.fieldnames or ()) or "none"
            raise InputError(f"{path} needs the columns uri and caption, it has {columns}")
        return {row["uri"]: (row["caption"] or "").strip() for row in reader if row["uri"]}
