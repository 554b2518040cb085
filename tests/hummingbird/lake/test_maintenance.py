"""A lake that is kept small holds the same rows, and explains models and snapshots."""

import os
import time
from pathlib import Path

import pytest
from hummingbird.core.errors import InputError
from hummingbird.lake.lake import Lake
from hummingbird.lake.maintenance import compact, delete_orphans, diff_rows, expire, lineage_rows
from hummingbird.lake.media import store_media

from .conftest import broken, clip, clips


def rows(lake: Lake, snapshot: int | None = None) -> list[list[object]]:
    return [
        lake.read(name, snapshot_id=snapshot).sort_by("source_uri").to_pylist()
        for name in ("clips", "quarantine")
    ]


def test_compaction_and_expiry_change_no_row_that_can_be_named(lake: Lake) -> None:
    named = 0
    for number in range(4):
        snapshot = lake.commit_batch(str(number), clips(clip(f"s{number}")), broken(f"b{number}"))
        if number == 1:
            named = snapshot
            lake.add_model({"model_id": "m", "kind": "pruned", "snapshot_id": named})
    before, old = rows(lake), rows(lake, named)
    files = compact(lake)
    assert files["clips"] == {"before": 4, "after": 1}
    assert files["runs"]["before"] > 1
    assert files["runs"]["after"] == 1
    assert (rows(lake), rows(lake, named)) == (before, old)
    counts = expire(lake)
    assert counts["runs"]["after"] <= counts["runs"]["before"]
    assert (rows(lake), rows(lake, named)) == (before, old)
    lake.commit_batch("after", clips(clip("s0", caption="new")), None)
    assert [row["caption"] for row in lake.read("clips", "source_uri = 's0'").to_pylist()] == ["new"]
    assert len(rows(lake)[0]) == 4


def test_only_old_orphans_are_deleted(lake: Lake) -> None:
    named, old, new = (
        store_media(lake.storage, content).media_path for content in (b"named", b"old", b"new")
    )
    lake.commit_batch("one", clips({**clip("a"), "media_path": named}), None)
    for path in (named, old):
        os.utime(lake.storage / path, (time.time() - 4 * 86400,) * 2)
    assert [orphan.media_path for orphan in delete_orphans(lake)] == [old]
    assert isinstance(lake.storage, Path)
    assert {path.name for path in lake.storage.glob("media/clips/*/*")} == {
        Path(p).name for p in (named, new)
    }


def test_the_lineage_of_a_model_ends_with_its_clips(lake: Lake) -> None:
    snapshot = lake.commit_batch("one", clips(clip("a"), clip("b", 0.0, "x", "static")), None)
    lake.commit_batch("two", clips(clip("c")), None)
    lake.add_model({"model_id": "teacher", "kind": "teacher"})
    for name, parent in (("student", "teacher"), ("package", "student")):
        lake.add_model({"model_id": name, "kind": name, "parent_id": parent, "snapshot_id": snapshot})
    made = list(lineage_rows(lake, "package"))
    assert [row["model_id"] for row in made if row["kind"] == "model"] == ["package", "student", "teacher"]
    (only,) = (row for row in made if row["kind"] == "clip")
    assert (only["source_uri"], only["models"]) == ("a", ["package", "student"])
    with pytest.raises(InputError, match="no model 'nobody'"):
        list(lineage_rows(lake, "nobody"))


def test_what_became_of_the_clips(lake: Lake) -> None:
    first = lake.commit_batch("one", clips(clip("a"), clip("b"), clip("d")), None)
    second = lake.commit_batch("two", clips(clip("a", 0.0, "new", "static"), clip("c")), broken("b"))
    changes = {row["source_uri"]: row for row in diff_rows(lake, first, second)}
    assert {uri: row["change"] for uri, row in changes.items()} == {
        "a": "changed",
        "b": "removed",
        "c": "added",
    }
    assert changes["a"]["columns"] == {
        "caption": ["a", "new"],
        "verdict": ["kept", "dropped"],
        "reasons": [[], ["static"]],
    }
