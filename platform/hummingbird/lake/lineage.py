"""How models are named in the lake, and which artefacts a verb starts from when the settings name none."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from huggingface_hub import ModelCard
from torch import nn

from hummingbird.config.section import InputError

if TYPE_CHECKING:  # models and methods are named without the lake's libraries
    from hummingbird.lake.lake import Lake
    from hummingbird.lake.runs import Run


def weights_hash(module: nn.Module) -> str:
    """SHA-256 (hex) of names, types, shapes and values of all tensors: the same wherever they are stored."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\0".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def count_parameters(module: nn.Module) -> int:
    """The number of parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


def put_model(lake: "Lake", unet: nn.Module, kind: str, row: Mapping[str, object]) -> str:
    """Writes a model into the lake and returns its id, ``KIND-HASH``.

    Args:
        lake: where.
        unet: the model's U-Net; its weights make the id.
        kind: ``teacher``, ``pruned``, ``distilled``, ``feedback``.
        row: further columns of the table ``models``.
    """
    digest = weights_hash(unet)
    model_id = f"{kind}-{digest[:12]}"
    own = {"model_id": model_id, "kind": kind, "weights_hash": digest, "parameters": count_parameters(unet)}
    lake.add_model({**row, **own})
    return model_id


def find_model(lake: "Lake", unet: nn.Module, kind: str, folder: Path) -> dict[str, Any]:
    """The row of a model that work starts from; one that the lake does not know yet is added as ``kind``.

    Args:
        folder: the model's pipeline; the licence is taken from the model card there, if there is one.
    """
    # A compiled package has the weights of the model that it was made of, and is not that model.
    where = f"weights_hash = '{weights_hash(unet)}' and kind != 'package'"
    if not lake.read("models", where).num_rows:
        card = folder / "README.md"
        licence = ModelCard.load(card).data.get("license") if card.is_file() else None
        put_model(lake, unet, kind, {"path": folder, "licence": licence})
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


def latest_output(lake: "Lake", verb: str, name: str) -> Path:
    """The output of the last finished run of a verb.

    Raises:
        InputError: there is no such run, or what it made is gone.
    """
    from hummingbird.lake.lake import parse_json

    runs = lake.read("runs", f"kind = 'run' and verb = '{verb}' and state = 'finished'")
    if not runs.num_rows:
        raise InputError(
            f"nothing to start from: no finished run of {verb} in {lake.storage}; run {verb} first"
        )
    last: dict[str, Any] = parse_json(runs.sort_by([("finished", "descending")]).slice(0, 1).to_pylist()[0])
    path = Path(last["outputs"][name])
    if not path.exists():
        raise InputError(f"{path}, made by the run {last['run_id']}, is gone; run {verb} again")
    return path
