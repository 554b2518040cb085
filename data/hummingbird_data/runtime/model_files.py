"""Models of curation: whether their files are whole, and how many processes hold one."""

import json
from pathlib import Path

from hummingbird.core.errors import InputError
from hummingbird.core.hashes import MODEL_FILES

_SMALL = 512 << 20  # bytes: a model that every core may hold a copy of


def actors_for(wanted: int | None, folder: Path, gpus: float) -> int:
    """How many actors are to hold the model in ``folder``, where the settings do not say.

    None on CPUs where it is small: every process that does the work then holds it, so that all cores take part.
    """
    if wanted is not None or gpus:
        return wanted or 1
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.suffix in MODEL_FILES)
    return 0 if size <= _SMALL else 1


def check_files(folder: Path) -> None:
    """Whether the files of weights in ``folder`` are there and whole, by their headers.

    Raises:
        InputError: there are none, an index names one that is not there, or one is cut off.
    """
    from safetensors import SafetensorError, safe_open

    weights = [path for path in folder.iterdir() if path.suffix in (".safetensors", ".bin")]
    if not weights:
        raise InputError(f"there are no weights in {folder} (no .safetensors or .bin)")
    for index in folder.glob("*.index.json"):
        named = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        gone = sorted(name for name in named if not (folder / name).is_file())
        if gone:
            raise InputError(f"the model in {folder} lacks {', '.join(gone)}, which {index.name} names")
    for path in weights:
        if path.suffix == ".safetensors":
            try:
                with safe_open(path, "np"):
                    pass
            except (SafetensorError, OSError) as error:
                raise InputError(
                    f"{path} cannot be read ({error}): was it cut off while it was copied?"
                ) from error
