"""How many processes hold a model of curation."""

from pathlib import Path

from hummingbird.core.hashes import MODEL_FILES

_SMALL = 512 << 20  # bytes: a model that every core may hold a copy of


def actors_for(given: int | None, folder: Path, gpus: float) -> int:
    """How many actors are to hold the model in ``folder``, where the settings do not say.

    None on CPUs where it is small: every process that does the work then holds it, so that all cores take part.
    """
    if given is not None or gpus:
        return given or 1
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.suffix in MODEL_FILES)
    return 0 if size <= _SMALL else 1
