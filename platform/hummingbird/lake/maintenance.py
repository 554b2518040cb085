"""What keeps a lake small and explains it: compaction, expiry, orphans that go, lineage to the clips, what changed."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hummingbird.core.files import AnyPath
from hummingbird.lake.lake import Lake
from hummingbird.lake.orphans import Orphan, orphans
from hummingbird.lake.schemas import TABLES

DAYS = 3.0
"""Age at which a file that no row names is left over: a job that is running has files that no row names yet."""

_CLIP = ("clip_id", "source_uri", "start_seconds", "end_seconds", "caption", "media_path", "content_hash")
_IDENTITY = ("clip_id", "batch_id", "scoring_key")  # who wrote a row last, and for what: no change of a clip


def compact(lake: Lake) -> dict[str, dict[str, int]]:
    """Writes the rows of all tables into as few files as they need; by table the files ``before`` and ``after``.

    Rows and the snapshots that are named stay; the files of the states before go when these expire.
    """
    return {name: lake.compact(name) for name in TABLES}


def expire(lake: Lake) -> dict[str, dict[str, int]]:
    """Takes the snapshots away that no run and no model names, but for the newest; by table how many there were
    ``before`` and ``after``."""
    before = {name: lake.snapshots(name) for name in TABLES}
    lake.expire()
    return {name: {"before": before[name], "after": lake.snapshots(name)} for name in TABLES}


def delete_orphans(lake: Lake, days: float = DAYS) -> Iterator[Orphan]:
    """Deletes media files that no row of any state names and that are older than ``days``; yields each."""
    latest = time.time() - 86400 * days
    for orphan in orphans(lake):
        path = lake.storage / orphan.media_path
        if _modified(path) <= latest:
            path.unlink(missing_ok=True)
            yield orphan


def _modified(path: AnyPath) -> float:
    if isinstance(path, Path):
        return path.stat().st_mtime
    modified = path.info().mtime
    return 0.0 if modified is None else modified.timestamp()


def lineage_rows(lake: Lake, model_id: str) -> Iterator[dict[str, Any]]:
    """A model, what it was made of and so on, each with its run, then the kept clips that they learned from.

    Raises:
        InputError: no such model.
    """
    snapshots: dict[int, list[str]] = {}
    for link in lake.lineage(model_id):
        model, run = link["model"], link["run"]
        yield {
            "kind": "model",
            **{
                key: model[key]
                for key in ("model_id", "parent_id", "weights_hash", "path", "licence", "source")
            },
            "made_by": None if run is None else {key: run[key] for key in ("run_id", "verb", "code_version")},
            "snapshot_id": link["snapshot_id"],
            "clips": link["clips"],
        }
        if link["snapshot_id"] is not None:
            snapshots.setdefault(link["snapshot_id"], []).append(model["model_id"])
    for snapshot, models in snapshots.items():
        for batch in lake.batches("clips", "verdict = 'kept'", snapshot, _CLIP):
            for row in batch.to_pylist():
                yield {"kind": "clip", "snapshot_id": snapshot, "models": models, **row}


def diff_rows(lake: Lake, before: int, after: int) -> Iterator[dict[str, Any]]:
    """What became of the clips from one snapshot to another: ``added``, ``removed``, or ``changed`` with the columns
    and both values, in order of ``clip_id``.

    Raises:
        InputError: no such snapshot.
    """
    old, new = (_clips(lake, snapshot) for snapshot in (before, after))
    for clip_id in sorted({*old, *new}):
        row = new.get(clip_id, old.get(clip_id))
        assert row is not None
        about = {"clip_id": clip_id, "source_uri": row["source_uri"]}
        if clip_id not in old or clip_id not in new:
            yield {"change": "added" if clip_id in new else "removed", **about, "verdict": row["verdict"]}
            continue
        columns = {
            name: [old[clip_id].get(name), value]
            for name, value in new[clip_id].items()
            if name not in _IDENTITY and old[clip_id].get(name) != value
        }
        if columns:
            yield {"change": "changed", **about, "columns": columns}


def _clips(lake: Lake, snapshot: int) -> Mapping[str, dict[str, Any]]:
    return {row["clip_id"]: row for few in lake.batches("clips", None, snapshot) for row in few.to_pylist()}
