"""Tables made before a column was added: read as they are, and given the column when a job opens the lake."""

from hummingbird.config.settings import Settings
from hummingbird.lake.lake import Lake
from hummingbird.lake.schemas import ARROW

from .conftest import clip, clips


def test_a_table_older_than_a_column_is_read_and_then_given_it(settings: Settings) -> None:
    lake = Lake.open(settings)
    lake.add_model({"model_id": "old", "kind": "teacher"})
    with lake._committer.table("models").update_schema() as update:
        update.delete_column("source")
    (row,) = Lake.open(settings, create=False).read("models").to_pylist()
    assert row["source"] is None
    lake = Lake.open(settings)
    lake.add_model({"model_id": "new", "kind": "teacher", "source": "somewhere"})
    rows = {row["model_id"]: row["source"] for row in lake.read("models").to_pylist()}
    assert rows == {"old": None, "new": "somewhere"}


def test_a_batch_is_committed_over_a_snapshot_older_than_a_column(settings: Settings) -> None:
    lake = Lake.open(settings)
    with lake._committer.table("clips").update_schema() as update:
        update.delete_column("freeze_score")
    names = [name for name in ARROW["clips"].names if name != "freeze_score"]
    lake._committer.table("clips").append(ARROW["clips"].empty_table().select(names))
    lake = Lake.open(settings)
    first = lake.commit_batch("one", clips(clip("a")), None)
    assert lake.commit_batch("one", clips(clip("a")), None) == first
    assert [row["freeze_score"] for row in lake.read("clips").to_pylist()] == [None]


def test_columns_that_a_table_has_not_are_null_in_as_many_rows(settings: Settings) -> None:
    lake = Lake.open(settings)
    lake.add_model({"model_id": "old", "kind": "teacher"})
    with lake._committer.table("models").update_schema() as update:
        update.delete_column("source")
    lake = Lake.open(settings, create=False)
    assert lake.read("models", columns=["source"]).to_pylist() == [{"source": None}]
    batches = lake.batches("models", columns=["source", "model_id"])
    assert [batch.to_pylist() for batch in batches] == [[{"source": None, "model_id": "old"}]]
