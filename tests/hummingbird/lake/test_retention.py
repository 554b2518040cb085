"""Snapshots that something names stay, others make room; a commit reads only what it replaces."""

from datetime import UTC, datetime

import pytest
from hummingbird.core.errors import InputError
from hummingbird.lake import committer, retention
from hummingbird.lake.committer import _of_sources
from hummingbird.lake.lake import Lake
from hummingbird.lake.tables import PROPERTIES

from .conftest import broken, clip, clips

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def forgetful(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """A lake that keeps the states of the last two batches, and cleans up after each."""
    monkeypatch.setattr(committer, "EXPIRE_INTERVAL", 1)
    monkeypatch.setattr(retention, "NEWEST", 2)
    return lake


def commit(lake: Lake, number: int) -> int:
    return lake.commit_batch(f"b{number}", clips(clip(f"a{number}")), broken(f"c{number}"))


@pytest.mark.parametrize("tags", [True, False])
@pytest.mark.parametrize("namer", ["run", "model"])
def test_what_a_run_or_a_model_names_stays(
    forgetful: Lake, monkeypatch: pytest.MonkeyPatch, tags: bool, namer: str
) -> None:
    if not tags:  # as rows of before there were tags
        monkeypatch.setattr(committer, "name_snapshot", lambda table, snapshot_id: None)
    first = forgetful.snapshot()
    named = [commit(forgetful, number) for number in range(2)][1]
    if namer == "run":
        forgetful.put_run({"run_id": "encode-1", "state": "running", "started": NOW, "input_snapshot": named})
    else:
        forgetful.add_model({"model_id": "m", "kind": "teacher", "snapshot_id": named})
    before = [forgetful.read(table, snapshot_id=named) for table in ("clips", "quarantine")]
    assert [rows.num_rows for rows in before] == [2, 2]
    later = [commit(forgetful, number) for number in range(2, 7)]
    assert [forgetful.read(table, snapshot_id=named) for table in ("clips", "quarantine")] == before
    assert forgetful.read("clips", snapshot_id=first).num_rows == 0
    assert forgetful.read("quarantine", snapshot_id=later[-2])["source_uri"].to_pylist()[-1:] != []
    with pytest.raises(InputError, match=f"snapshot {later[0]} is no longer there"):
        forgetful.read("clips", snapshot_id=later[0])
    assert forgetful.read("clips").num_rows == 7


def test_what_a_run_named_before_it_ran_again_stays(forgetful: Lake) -> None:
    run = {"run_id": "curate-1", "state": "finished", "started": NOW}
    named = commit(forgetful, 0)
    forgetful.put_run({**run, "input_snapshot": named})
    commit(forgetful, 1)
    forgetful.put_run({**run, "state": "running"})
    for number in range(2, 6):
        commit(forgetful, number)
    assert forgetful.read("clips", snapshot_id=named)["source_uri"].to_pylist() == ["a0"]


def test_metadata_stops_growing(forgetful: Lake) -> None:
    def sizes() -> list[int]:
        return [
            len(forgetful._committer.table(name).metadata.snapshots)
            for name in ("clips", "quarantine", "runs")
        ]

    for number in range(12):
        commit(forgetful, number)
    before = sizes()
    for number in range(12, 15):
        commit(forgetful, number)
    assert sizes() == before
    assert forgetful.read("clips").num_rows == forgetful.read("quarantine").num_rows == 15
    assert forgetful.read("runs", "kind = 'batch'").num_rows == 15


def test_of_batches_that_changed_quarantine_alone_the_last_counts(lake: Lake) -> None:
    lake.commit_batch("one", clips(clip("a")), None)
    for name in ("b", "c", "d"):
        snapshot = lake.commit_batch(name, None, broken(name))
    uris = lake.read("quarantine", snapshot_id=snapshot)["source_uri"].to_pylist()
    assert sorted(uris) == ["b", "c", "d"]


@pytest.mark.parametrize("many", [2, 300])
def test_a_commit_reads_only_files_of_its_own_sources(lake: Lake, many: int) -> None:
    """Whatever names have in common, and however many sources there are."""

    def sources(part: int) -> list[str]:
        return [f"s3://a-bucket/and/a/folder/part-{part}/{number:05d}.mp4" for number in range(many)]

    for part in range(4):
        lake.commit_batch(f"b{part}", clips(*map(clip, sources(part))), None)
    table = lake._committer.table("clips")
    assert len(list(table.scan().plan_files())) >= 4
    assert len(list(table.scan(row_filter=_of_sources(set(sources(2)))).plan_files())) == 1


def test_an_older_table_gets_the_properties_that_it_lacks(lake: Lake, settings: object) -> None:
    table = lake._committer.table("clips")
    mine = "write.metadata.metrics.column.source_uri"
    with table.transaction() as change:
        change.remove_properties(mine)
        change.set_properties({"commit.retry.num-retries": "7"})
    Lake.open(settings)  # type: ignore[arg-type]
    properties = lake._committer.table("clips").properties
    assert properties[mine] == PROPERTIES[mine]
    assert properties["commit.retry.num-retries"] == "7", "what somebody set by hand is theirs"
