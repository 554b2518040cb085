"""From what settings call a model to its folder: names of shipped weights ("shapes-teacher"), or paths."""

import sys
from pathlib import Path

from huggingface_hub import ModelCard

import hummingbird
from hummingbird.core.errors import InputError
from hummingbird.core.files import as_path
from hummingbird.core.remote_path import RemotePath
from hummingbird.core.scratch import local_copy

SHIPPED = "shapes-"
"""How names of shipped weights begin."""
_PLACE = Path("shapes", "weights")


def _shipped_weights() -> Path:
    """In the package, or, where code was sent to a cluster without them, in the one that is installed there."""
    own = Path(hummingbird.__file__).parent / _PLACE
    installed = (Path(entry, "hummingbird") / _PLACE for entry in sys.path)
    return own if own.is_dir() else next((folder for folder in installed if folder.is_dir()), own)


SHIPPED_WEIGHTS = _shipped_weights()
"""Resources of the package, found without importing the small world that they belong to."""


def is_shipped(name: str) -> bool:
    """Whether ``name`` is that of weights of the small world that come with the package."""
    return name.startswith(SHIPPED)


def model_folder(name: str | Path) -> Path:
    """The folder of a single model: shipped weights, or a path or URI (of a copy).

    Raises:
        InputError: there is no model there.
    """
    return _folder(name, "config.json", "model")


def pipeline_folder(name: str | Path) -> Path:
    """The folder of a pipeline: shipped weights ("shapes-teacher", "shapes-student"), or a path or URI (of a copy).

    Raises:
        InputError: there is no pipeline there.
    """
    return _folder(name, "unet/config.json", "pipeline")


def pipeline_part(folder: Path, part: str) -> Path:
    """A part's folder: the pipeline's own, or the one in ``components`` that shipped pipelines share."""
    own = folder / part
    return own if own.is_dir() else folder.parent / "components" / part


def model_licence(folder: Path) -> str | None:
    """The licence that the folder's model card states, or None."""
    card = folder / "README.md"
    licence: str | None = ModelCard.load(card).data.get("license") if card.is_file() else None
    return licence


def _folder(name: str | Path, needed: str, kind: str) -> Path:
    if is_shipped(str(name)):
        folder = SHIPPED_WEIGHTS / str(name).removeprefix(SHIPPED)
        if not folder.is_dir():
            known = sorted(SHIPPED + path.name for path in SHIPPED_WEIGHTS.glob("*") if path.is_dir())
            raise InputError(f"no shipped weights {str(name)!r}; there are: {', '.join(known) or 'none'}")
    else:
        place = as_path(name)
        if isinstance(place, RemotePath) and not (place / needed).is_file():
            raise InputError(f"there is no {kind} in {place} (no {needed})")
        folder = local_copy(place).expanduser().absolute()
    if not (folder / needed).is_file():
        raise InputError(f"there is no {kind} in {folder} (no {needed})")
    return folder
