"""DOVER's published file to the quality model that curation takes (``models.quality``)."""

from hummingbird.importing.table import Entry, Weights, fill
from hummingbird.models.dover import DOVER


def import_dover(weights: Weights) -> DOVER:
    """The full-size network with the weights of a ``DOVER.pth``.

    Raises:
        InputError: the entries do not fit, see `fill`.
    """
    model = DOVER()
    state = model.state_dict()
    computed = {name: tensor for name, tensor in state.items() if not tensor.is_floating_point()}
    table = [Entry(name, name) for name in state if name not in computed]
    fill(model, table, weights, "DOVER", computed=computed)
    return model
