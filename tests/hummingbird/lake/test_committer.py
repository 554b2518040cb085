"""The committer under crashes and under company."""

import subprocess
import sys
from pathlib import Path

import pytest
from hummingbird.config.settings import Settings
from hummingbird.lake.committer import Committer, Pins
from hummingbird.lake.lake import Lake

from .conftest import broken, clip, clips


class Killed(BaseException):
    """Stands for the end of the process at one point."""


def rows(lake: Lake) -> list[object]:
    """All that a reader sees of the data."""
    return [lake.read(name).sort_by("source_uri").to_pylist() for name in ("clips", "quarantine")]


def commit_both(lake: Lake) -> None:
    lake.commit_batch("one", clips(clip("a"), clip("b")), broken("c"))
    lake.commit_batch("two", clips(clip("a", caption="new"), clip("c")), broken("b"))


@pytest.mark.parametrize("point", ["_write_ledger", "_publish"])
@pytest.mark.parametrize("batch", ["one", "two"])
def test_a_killed_commit_run_again_ends_with_the_same_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str, batch: str
) -> None:
    whole = Lake.open(Settings(storage=tmp_path / "whole"))
    commit_both(whole)

    lake = Lake.open(Settings(storage=tmp_path / "killed"))
    if batch == "two":
        lake.commit_batch("one", clips(clip("a"), clip("b")), broken("c"))
    before = rows(lake)
    original = getattr(Committer, point)

    def die(self: Committer, *arguments: object) -> None:
        # Publishing comes first and last: only after the ledger row does the ledger have a new sequence.
        pins = next((a for a in arguments if isinstance(a, Pins)), None)
        if point == "_write_ledger" or (pins is not None and pins.sequence == (1 if batch == "one" else 2)):
            raise Killed
        original(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Committer, point, die)
        with pytest.raises(Killed):
            commit_both(lake)
    if point == "_write_ledger":
        assert rows(lake) == before, "rows without a ledger row are seen"
    lake = Lake.open(Settings(storage=tmp_path / "killed"))
    commit_both(lake)
    assert rows(lake) == rows(whole)
    assert lake.read("clips", snapshot_id=lake.snapshot()).num_rows == 2


def test_a_dead_batch_does_not_ride_along_with_the_next(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(self: Committer, *arguments: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Committer, "_write_ledger", die)
        with pytest.raises(Killed):
            lake.commit_batch("dead", clips(clip("a")), broken("b"))
    lake.commit_batch("next", clips(clip("c")), None)
    assert lake.read("clips")["source_uri"].to_pylist() == ["c"]
    assert lake.read("quarantine").num_rows == 0
    assert lake.read("runs", "kind = 'batch'")["run_id"].to_pylist() == ["batch-next"]


COMMIT_SOME = """
import sys
from datetime import UTC, datetime
import pyarrow as pa
from hummingbird.config.loading import load_settings
from hummingbird.lake.lake import Lake

worker = sys.argv[2]
lake = Lake.open(load_settings(None, ["storage=" + sys.argv[1]]))
row = {"start_seconds": 0.0, "end_seconds": 1.0, "verdict": "dropped", "reasons": ["static"]}
for number in range(2):
    rows = [{**row, "clip_id": s, "source_uri": s} for s in (f"{worker}-{number}", "shared")]
    lake.commit_batch(f"{worker}-{number}", pa.Table.from_pylist(rows), None)
    lake.put_run({"run_id": f"curate-{worker}", "state": "running", "started": datetime.now(UTC)})
"""


def test_many_committers_lose_nothing(tmp_path: Path) -> None:
    workers = [
        subprocess.Popen([sys.executable, "-c", COMMIT_SOME, str(tmp_path / "runs"), str(number)])
        for number in range(3)
    ]
    assert [worker.wait(300) for worker in workers] == [0] * 3
    lake = Lake.open(Settings(storage=tmp_path / "runs"))
    expected = sorted([f"{w}-{n}" for w in range(3) for n in range(2)] + ["shared"])
    assert sorted(lake.read("clips")["source_uri"].to_pylist()) == expected
    ledger = lake.read("runs", "kind = 'batch'")
    assert sorted(ledger["sequence"].to_pylist()) == list(range(1, 7))
    assert lake.read("runs", "kind = 'run'").num_rows == 3
