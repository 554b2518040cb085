"""DOVER's published file to the quality model that curation takes (``models.quality``)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hummingbird.config.import_checkpoint import ImportCheckpointSettings
from hummingbird.core.hashes import count_parameters
from hummingbird.importing.format import Format, Imported
from hummingbird.importing.parts import read_config
from hummingbird.importing.reader import open_weights
from hummingbird.importing.table import Entry, Weights, fill
from hummingbird.models.dover import DOVER


def import_dover(weights: Weights, config: Mapping[str, Any] | None = None) -> DOVER:
    """The network with the weights of a ``DOVER.pth``.

    Args:
        config: arguments of `DOVER`; none: the published network.

    Raises:
        InputError: the entries do not fit, see `fill`.
    """
    model = DOVER(**(config or {}))
    state = model.state_dict()
    computed = {name: tensor for name, tensor in state.items() if not tensor.is_floating_point()}
    table = [Entry(name, name) for name in state if name not in computed]
    fill(model, table, weights, "DOVER", computed=computed)
    return model


def _write(section: ImportCheckpointSettings, folder: Path | None) -> Imported:
    config = None if section.reference is None else read_config(section.reference)
    with open_weights(Path(str(section.checkpoint))) as weights:
        model = import_dover(weights, config)
        if folder is not None:
            model.save_pretrained(folder)
    note = (
        f"curate with models.quality={folder}; it came without a threshold: set curate.min_technical, "
        "curate.min_aesthetic or curate.min_overall, such as '10%'"
    )
    return Imported(notes=[note], metrics={"parameters": count_parameters(model)})


FORMAT = Format("dover", "quality", "DOVER.pth, for models.quality", _write, frozenset({"reference"}))
