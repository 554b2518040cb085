"""How models are named in the lake, and which artifacts a verb starts from when the settings name none."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hummingbird.core.errors import InputError
from hummingbird.core.files import as_path
from hummingbird.core.hashes import ModelIdentity
from hummingbird.core.model_references import model_licence
from hummingbird.core.scratch import local_copy

if TYPE_CHECKING:  # models and methods are named without the lake's libraries
    from hummingbird.lake.lake import Lake
    from hummingbird.lake.runs import Run


def put_model(lake: "Lake", model: ModelIdentity, kind: str, row: Mapping[str, object]) -> str:
    """Writes a model into the lake and returns its id, ``KIND-HASH``.

    Args:
        lake: where.
        model: of its U-Net's weights, which make the id.
        kind: ``teacher``, ``pruned``, ``distilled``, ``feedback``.
        row: further columns of the table ``models``.
    """
    model_id = f"{kind}-{model.weights_hash[:12]}"
    own = {"model_id": model_id, "kind": kind, **asdict(model)}
    lake.add_model({**row, **own})
    return model_id


def find_model(lake: "Lake", model: ModelIdentity, kind: str, folder: Path) -> dict[str, Any]:
    """The row of a model that work starts from; one that the lake does not know yet is added as ``kind``.

    Args:
        folder: the model's pipeline; the licence is taken from the model card there, if there is one.
    """
    # A compiled package has the weights of the model that it was made of, and is not that model.
    where = f"weights_hash = '{model.weights_hash}' and kind != 'package'"
    if not lake.read("models", where).num_rows:
        put_model(lake, model, kind, {"path": folder, "licence": model_licence(folder)})
    row: dict[str, Any] = lake.read("models", where).to_pylist()[0]
    return row


def made_by(run: "Run", parent: Mapping[str, Any]) -> dict[str, object]:
    """Columns of a model that a run makes of another: the licence is the parent's."""
    return {
        "parent_id": parent["model_id"],
        "run_id": run.run_id,
        "snapshot_id": run.snapshot_id,
        "settings_hash": run.settings_hash,
        "licence": parent["licence"],
    }


def latest_run(lake: "Lake", verb: str) -> dict[str, Any] | None:
    """The row of the run of a verb that finished last; none: no run of it did."""
    from hummingbird.lake.lake import parse_json

    runs = lake.read("runs", f"kind = 'run' and verb = '{verb}' and state = 'finished'")
    if not runs.num_rows:
        return None
    return parse_json(runs.sort_by([("finished", "descending")]).slice(0, 1).to_pylist()[0])


def latest_output(lake: "Lake", verb: str, name: str) -> Path:
    """The output of the last finished run of a verb, a copy of it where the storage is a URI.

    Raises:
        InputError: there is no such run, or what it made is gone.
    """
    last = latest_run(lake, verb)
    if last is None:
        raise InputError(
            f"nothing to start from: no finished run of {verb} in {lake.storage}; run {verb} first"
        )
    path = as_path(last["outputs"][name])
    if not path.exists():
        raise InputError(f"{path}, made by the run {last['run_id']}, is gone; run {verb} again")
    return local_copy(path)
