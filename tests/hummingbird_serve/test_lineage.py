"""What a served model was made of, read from the lake."""

from datetime import UTC, datetime
from pathlib import Path

from hummingbird.config.settings import Settings
from hummingbird.lake.lake import Lake
from hummingbird_serve.answers import ModelOrigin
from hummingbird_serve.lineage import model_lineage


def test_the_way_back_from_a_model_to_the_first_has_runs_plans_and_snapshots(tmp_path: Path) -> None:
    settings = Settings(storage=tmp_path)
    lake = Lake.open(settings)
    lake.put_run({"run_id": "prune-1", "verb": "prune", "state": "finished", "started": datetime.now(UTC)})
    lake.add_model({"model_id": "teacher-1", "kind": "teacher", "licence": "mit"})
    lake.add_model(
        {
            "model_id": "pruned-1", "kind": "pruned", "parent_id": "teacher-1", "run_id": "prune-1",
            "snapshot_id": 9007199254740993, "plan": {"kept": [1, 2]}, "parameters": 5,
        }
    )  # fmt: skip
    pruned, teacher = [ModelOrigin(**origin) for origin in model_lineage(settings, "pruned-1")]
    assert (pruned.model_id, pruned.made_by, pruned.run_id) == ("pruned-1", "prune", "prune-1")
    assert (pruned.snapshot_id, pruned.plan) == ("9007199254740993", {"kept": [1, 2]})
    assert (teacher.model_id, teacher.made_by, teacher.plan, teacher.licence) == (
        "teacher-1",
        None,
        None,
        "mit",
    )
    assert model_lineage(settings, "unknown") == model_lineage(settings, None) == ()
