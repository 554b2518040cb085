"""Manifests: tables of uri and caption as data sets of video come, read batch by batch.

CSV, JSON lines and Parquet, here or in object storage; CSV and JSON lines may be compressed (``.gz``).
"""

import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
from hummingbird.core.errors import InputError
from hummingbird.core.remote_path import file_system, is_uri
from pyarrow import csv, fs

_KINDS = {"csv": "csv", "tsv": "tsv", "jsonl": "jsonl", "ndjson": "jsonl", "parquet": "parquet"}
_PACKED = {"gz", "bz2", "zst"}
_ADVICE = "name others with curate.manifest_uri and curate.manifest_caption (null: no captions)"
_ROWS = 8192  # a batch: all that is held at once
_COLUMN = re.compile(r"\{([^{}]+)\}")


@dataclass(frozen=True)
class ManifestColumns:
    """``uri``: the column of uris, or a template of columns such as ``{page_dir}/{videoid}.mp4``; ``caption``:
    the column of captions, none where there is none; ``root``: the folder or URI that relative uris are
    below, none for the manifest's own folder."""

    uri: str = "uri"
    caption: str | None = "caption"
    root: str | None = None


def is_manifest(name: str) -> bool:
    """Whether a name ends as a manifest's does."""
    return _kind(name) is not None


def read_manifest(name: str, columns: ManifestColumns) -> Iterator[tuple[str, str | None]]:
    """Each row's uri, made absolute, and its caption (none where it is empty). Rows without a uri are errors.

    Raises:
        InputError: it cannot be read, or has not the columns.
    """
    template = columns.uri if "{" in columns.uri else f"{{{columns.uri}}}"
    parts = _COLUMN.findall(template)
    wanted = list(dict.fromkeys([*parts, *([columns.caption] if columns.caption else [])]))
    root = (columns.root or name.rpartition("/")[0]).rstrip("/")
    captions = columns.caption is None
    number = 0
    try:
        for number, row in enumerate(_rows(name, wanted), start=1):
            if any(row.get(part) in (None, "") for part in parts):
                raise InputError(f"{name}: row {number} has no {' or '.join(parts)}{_advice(row)}")
            uri = _COLUMN.sub(lambda found, row=row: str(row[found.group(1)]), template)  # type: ignore[misc]
            captions = captions or columns.caption in row
            caption = row.get(columns.caption) if columns.caption else None
            yield _absolute(uri, root), str(caption).strip() or None if caption is not None else None
    except (
        OSError,
        ValueError,
        pa.ArrowException,
    ) as error:  # ValueError: of JSON, and of other bytes than UTF-8
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"cannot read the manifest {name} after row {number}: {reason}") from error
    if number and not captions:
        raise InputError(f"{name}: no row has {columns.caption}; {_ADVICE}")


def _rows(name: str, wanted: list[str]) -> Iterator[dict[str, Any]]:
    system, path = file_system(name) if is_uri(name) else (fs.LocalFileSystem(), name)
    if _kind(name) == "jsonl":
        # Not through Arrow: its reader takes a column's type from the first rows.
        with io.TextIOWrapper(system.open_input_stream(path), encoding="utf-8-sig") as lines:
            for line in lines:
                if line.strip():
                    row = json.loads(line)
                    if not isinstance(row, dict):
                        raise InputError(f"{name} must have one JSON object a line, not {line[:40]!r}")
                    yield row
        return
    for batch in _table(name, wanted, system, path).to_batches(columns=wanted, batch_size=_ROWS):
        yield from batch.to_pylist()


def _advice(row: dict[str, Any]) -> str:
    return f" (it has {', '.join(row)}); {_ADVICE}"


def _kind(name: str) -> str | None:
    suffixes = [suffix[1:].lower() for suffix in PurePosixPath(name.rpartition("/")[2]).suffixes]
    if len(suffixes) > 1 and suffixes[-1] in _PACKED:
        suffixes.pop()
    return _KINDS.get(suffixes[-1]) if suffixes else None


def _table(name: str, wanted: list[str], system: fs.FileSystem, path: str) -> ds.Dataset:
    kind = _kind(name)
    options: ds.FileFormat
    if kind == "parquet":
        options = ds.ParquetFileFormat()
    else:
        options = ds.CsvFileFormat(
            parse_options=csv.ParseOptions(
                delimiter="\t" if kind == "tsv" else ",", newlines_in_values=kind == "csv"
            ),
            # A caption "2024" is no number, and one that says "null" or "NA" is not missing.
            convert_options=csv.ConvertOptions(
                column_types={column: pa.string() for column in wanted},
                strings_can_be_null=True,
                null_values=[""],
            ),
        )
    dataset = ds.dataset(path, format=options, filesystem=system)
    missing = [column for column in wanted if column not in dataset.schema.names]
    if missing:
        there = ", ".join(dataset.schema.names)
        raise InputError(f"{name} has no column {', '.join(missing)} (it has {there}); {_ADVICE}")
    return dataset


def _absolute(uri: str, root: str) -> str:
    if is_uri(uri):
        return uri
    if uri.startswith("/"):
        return uri if not is_uri(root) else f"{root.partition('://')[0]}://{uri.lstrip('/')}"
    return f"{root}/{uri}" if is_uri(root) else str(Path(root, uri))
