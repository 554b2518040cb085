"""What a served model was made of, as its own storage knows it."""

from collections.abc import Mapping
from typing import Any

from hummingbird.config.settings import Settings


def model_lineage(settings: Settings, model_id: str | None) -> tuple[Mapping[str, Any], ...]:
    """The fields of `answers.ModelOrigin`, of the model itself first; empty where the lake does not know it."""
    from hummingbird.lake.lake import Lake, parse_json

    if model_id is None:
        return ()
    lake = Lake.open(settings)
    line: list[Mapping[str, Any]] = []
    seen: set[str] = set()
    ancestor: str | None = model_id
    while ancestor is not None and ancestor not in seen:
        seen.add(ancestor)
        rows = lake.read("models", f"model_id = '{ancestor}'")
        if not rows.num_rows:
            break
        row = parse_json(rows.to_pylist()[0])
        runs = lake.read("runs", f"run_id = '{row['run_id']}'", columns=["run_id", "verb"])
        snapshot = row["snapshot_id"]
        line.append(
            {
                "kind": row["kind"],
                "model_id": row["model_id"],
                "made_by": runs["verb"][0].as_py() if runs.num_rows else None,
                "run_id": row["run_id"],
                # A browser's numbers do not hold 64 bits.
                "snapshot_id": None if snapshot is None else str(snapshot),
                "plan": row["plan"] or None,
                "parameters": row["parameters"],
                "licence": row["licence"],
            }
        )
        ancestor = row["parent_id"]
    return tuple(line)
