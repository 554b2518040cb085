"""Which row of the table ``models`` stands for given weights."""

from pathlib import Path

from hummingbird.core.hashes import identify
from hummingbird.lake.lake import Lake
from hummingbird.lake.lineage import find_model, put_model
from torch import nn


def test_a_package_is_not_taken_for_the_model_it_was_made_of(lake: Lake) -> None:
    unet = identify(nn.Linear(2, 2))
    model_id = put_model(lake, unet, "feedback", {"path": "folder"})
    made_of = find_model(lake, unet, "few-step", Path("folder"))
    # Compiled, then compiled again: a parent that is the package itself would cut the line to the clips.
    for _ in range(2):
        package = {"model_id": "package-1", "kind": "package", "weights_hash": made_of["weights_hash"]}
        parent = find_model(lake, unet, "few-step", Path("folder"))
        lake.add_model({**package, "parent_id": parent["model_id"]})
    line = [entry["model"]["model_id"] for entry in lake.lineage("package-1")]
    assert line == ["package-1", model_id]
