"""Tables made before a column was added: read as they are, and given the column when a job opens the lake."""

from hummingbird.config.settings import Settings
from hummingbird.lake.lake import Lake


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
