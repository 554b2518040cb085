"""The lake: replaced sources, snapshots that stand still, refused rows, lineage."""

from pathlib import Path

import pyarrow as pa
import pytest
from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.lake.lake import Lake
from hummingbird.lake.schemas import CLIPS, ICEBERG, QUARANTINE, TABLES
from hummingbird.lake.tables import PROPERTIES
from pyiceberg.catalog import load_catalog

from .conftest import broken, clip, clips


def test_a_new_lake_is_empty(lake: Lake) -> None:
    assert lake.read("clips").schema == CLIPS
    assert lake.read("quarantine").schema == QUARANTINE
    assert lake.kept_clips(lake.snapshot()).num_rows == 0


def test_tables_carry_ids_version_and_retries(lake: Lake) -> None:
    for name in TABLES:
        table = lake._committer.table(name)
        assert table.schema() == ICEBERG[name]
        assert table.properties.items() >= PROPERTIES.items()


def test_a_rerun_replaces_rows_and_never_adds(lake: Lake) -> None:
    lake.commit_batch("one", clips(clip("a"), clip("a", 1.0), clip("b")), None)
    lake.commit_batch("one", clips(clip("a", caption="new"), clip("b")), None)
    rows = lake.read("clips").sort_by("clip_id").to_pylist()
    assert [(r["clip_id"], r["caption"]) for r in rows] == [("a@0.0", "new"), ("b@0.0", "a")]


def test_the_same_batch_again_makes_no_snapshot(lake: Lake) -> None:
    batch = clips(clip("b", 0.0, "x", "static", "zoom"), clip("a")), broken("c")
    first = lake.commit_batch("one", *batch)
    runs = lake.read("runs")
    assert lake.commit_batch("one", *batch) == first == lake.snapshot()
    assert lake.read("runs") == runs


def test_a_source_moves_between_clips_and_quarantine(lake: Lake) -> None:
    lake.commit_batch("one", clips(clip("a"), clip("b")), broken("c"))
    lake.commit_batch("two", clips(clip("c")), broken("a"))
    assert sorted(lake.read("clips")["source_uri"].to_pylist()) == ["b", "c"]
    assert lake.read("quarantine")["source_uri"].to_pylist() == ["a"]


def test_a_snapshot_of_clips_shows_the_quarantine_of_its_last_batch(lake: Lake) -> None:
    first = lake.commit_batch("one", clips(clip("a")), None)
    for number, source in enumerate("bcd"):
        assert lake.commit_batch(f"broken-{number}", None, broken(source)) == first  # no clip changes
    uris = lake.read("quarantine", snapshot_id=first)["source_uri"].to_pylist()
    assert sorted(uris) == ["b", "c", "d"]


def test_a_snapshot_stands_still(lake: Lake) -> None:
    first = lake.commit_batch("one", clips(clip("a"), clip("b", 0.0, "x", "text")), broken("c"))
    before = lake.read("clips", snapshot_id=first)
    second = lake.commit_batch("two", clips(clip("a", caption="changed"), clip("c")), None)
    assert lake.read("clips", snapshot_id=first) == before
    assert lake.kept_clips(first)["caption"].to_pylist() == ["a"]
    assert lake.kept_clips(second)["caption"].to_pylist() == ["changed", "a"]
    assert lake.read("quarantine", snapshot_id=first)["source_uri"].to_pylist() == ["c"]
    assert lake.read("quarantine", snapshot_id=second).num_rows == 0


def test_another_iceberg_reader_sees_the_same(lake: Lake, settings: Settings) -> None:
    lake.commit_batch("one", clips(clip("a")), None)
    root = settings.storage
    catalog = load_catalog(
        "hummingbird", type="sql", uri=f"sqlite:///{root}/catalog.db", warehouse=f"file://{root}/warehouse"
    )
    assert catalog.load_table("hummingbird.clips").scan().to_arrow()["clip_id"].to_pylist() == ["a@0.0"]


def test_a_filter_selects(lake: Lake) -> None:
    lake.commit_batch("one", clips(clip("a"), clip("b", 0.0, "it's", "static")), None)
    assert lake.read("clips", "verdict = 'dropped'")["source_uri"].to_pylist() == ["b"]
    assert lake.read("clips", "start_seconds >= 1").num_rows == 0


@pytest.mark.parametrize(
    ("table", "where", "snapshot", "message"),
    [
        ("clip", None, None, "there is no table 'clip'; there are clips, quarantine, runs, models"),
        ("clips", "verdict is kept", None, "cannot read the filter"),
        ("clips", "verdct = 'kept'", None, "clips has clip_id"),
        ("clips", "start_seconds = 'x'", None, "cannot use the filter"),
        ("clips", None, 7, "there is no snapshot 7"),
        ("runs", None, 7, "only the current one"),
    ],
)
def test_wrong_reads_are_named(
    lake: Lake, table: str, where: str | None, snapshot: int | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        lake.read(table, where, snapshot)


def test_a_lake_that_is_not_there_is_named(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no storage folder"):
        Lake.open(settings, create=False)
    settings.storage.mkdir()
    with pytest.raises(InputError, match="no lake in"):
        Lake.open(settings, create=False)
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(InputError, match="cannot make the storage folder"):
        Lake.open(Settings(storage=file / "runs"))


def test_another_schema_version_is_refused(lake: Lake, settings: Settings) -> None:
    with lake._committer.table("clips").transaction() as change:
        change.set_properties({"hummingbird.schema-version": "2"})
    with pytest.raises(InputError, match="schema version 2, this code reads 1"):
        Lake.open(settings)


@pytest.mark.parametrize(
    ("rows", "quarantine", "message"),
    [
        ([clip("a"), clip("a")], None, "same key"),
        ([clip("a")], broken("a"), "in quarantine too"),
        ([clip("a", 0.0, "x", "ugly")], None, "are not all in"),
        ([{**clip("a"), "verdict": "maybe"}], None, "is none of"),
        ([{**clip("a"), "verdict": "dropped"}], None, "is dropped for the reasons"),
        ([{**clip("a"), "color": "red"}], None, "has no column color"),
        ([{**clip("a"), "source_uri": None}], None, "source_uri of table clips must not be null"),
        ([{**clip("a"), "start_seconds": "soon"}], None, "start_seconds"),
        ([], None, "no row"),
    ],
)
def test_rows_that_break_a_rule_write_nothing(
    lake: Lake, rows: list[dict[str, object]], quarantine: pa.Table | None, message: str
) -> None:
    before = lake.snapshot()
    with pytest.raises(ValueError, match=message):
        lake.commit_batch("one", clips(*rows) if rows else None, quarantine)
    assert lake.snapshot() == before
    assert lake.read("runs").num_rows == 0


def test_a_storage_with_odd_characters_in_its_name(tmp_path: Path) -> None:
    lake = Lake.open(Settings(storage=tmp_path / "my runs, é"))
    lake.commit_batch("one", clips(clip("a b'c.mp4")), broken("d#e%20f"))
    assert lake.read("clips")["source_uri"].to_pylist() == ["a b'c.mp4"]
    assert lake.read("quarantine")["source_uri"].to_pylist() == ["d#e%20f"]


def test_lineage_leads_from_a_model_to_its_clips(lake: Lake) -> None:
    snapshot = lake.commit_batch("one", clips(clip("a"), clip("b", 0.0, "x", "zoom")), None)
    lake.commit_batch("two", clips(clip("c")), None)
    lake.add_model({"model_id": "teacher", "kind": "teacher", "path": Path("x"), "parameters": 9})
    lake.put_run({"run_id": "distill-1", "state": "finished", "started": _now(), "metrics": {"loss": 0.5}})
    student = {"model_id": "student", "kind": "distilled", "parent_id": "teacher", "run_id": "distill-1"}
    lake.add_model({**student, "snapshot_id": snapshot, "scores": {"total": 0.1}})
    lake.add_model({**student, "snapshot_id": snapshot, "scores": {"total": 0.8}})
    first, second = lake.lineage("student")
    assert first["run"]["metrics"] == {"loss": 0.5}
    assert (first["snapshot_id"], first["clips"]) == (snapshot, 1)
    assert first["model"]["scores"] == {"total": 0.8}
    assert (second["model"]["model_id"], second["run"], second["clips"]) == ("teacher", None, None)
    assert lake.read("models").num_rows == 2
    with pytest.raises(InputError, match="no model 'nobody'"):
        lake.lineage("nobody")
    with pytest.raises(InputError, match="parent_id 'nobody' is not"):
        lake.add_model({"model_id": "x", "kind": "pruned", "parent_id": "nobody"})


def _now() -> object:
    from datetime import UTC, datetime

    return datetime.now(UTC)


def test_columns_can_be_chosen_and_a_filter_may_name_others(lake: Lake) -> None:
    lake.commit_batch("one", clips(clip("a"), clip("b", 0.0, "x", "static")), broken("c"))
    rows = lake.read("clips", "verdict = 'dropped'", columns=["source_uri", "clip_id"])
    assert rows.to_pylist() == [{"source_uri": "b", "clip_id": "b@0.0"}]
    with pytest.raises(InputError, match="no column nonsense; it has clip_id"):
        lake.read("clips", columns=["nonsense"])


def test_batches_hold_the_rows_of_one_state_a_data_file_at_a_time(lake: Lake) -> None:
    for number in range(5):
        lake.commit_batch(f"batch{number}", clips(clip(f"a{number}"), clip(f"b{number}")), None)
    batches = lake.batches("clips", "caption = 'a'", columns=["batch_id", "source_uri"])
    first = next(batches)
    lake.commit_batch("late", clips(clip("late")), None)
    rest = list(batches)
    assert [batch.num_rows for batch in (first, *rest)] == [2] * 5
    uris = {uri for batch in (first, *rest) for uri in batch["source_uri"].to_pylist()}
    assert uris == {f"{side}{number}" for side in "ab" for number in range(5)}
    assert list(lake.batches("clips", "caption = 'nothing'")) == []
    with pytest.raises(InputError, match="cannot read the filter"):
        next(lake.batches("clips", "verdict = = 1"))
