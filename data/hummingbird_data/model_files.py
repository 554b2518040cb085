"""Where a model's files are, what they hash to, and under which licence they come."""

import hashlib
import json
import re
from pathlib import Path

from hummingbird.config.section import InputError

_SHIPPED = "shapes-"
_SMALL = 512 << 20  # bytes: a model that every core may hold a copy of
_COUNT = {".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".json", ".txt", ".jinja", ".model"}


def model_folder(name: str) -> Path:
    """The folder of shipped weights ("shapes-quality") or the folder that ``name`` is.

    Raises:
        InputError: there is no such folder.
    """
    if is_shipped(name):
        from hummingbird.shapes import weights_folder

        try:
            folder = weights_folder(name.removeprefix(_SHIPPED))
        except FileNotFoundError as error:
            raise InputError(str(error)) from error
    else:
        folder = Path(name).expanduser().absolute()
    if not (folder / "config.json").is_file():
        raise InputError(f"there is no model in {folder} (no config.json)")
    return folder


def is_shipped(name: str) -> bool:
    """Whether ``name`` is that of weights of the small world that come with the project."""
    return name.startswith(_SHIPPED)


def actors_for(given: int | None, folder: Path, gpus: float) -> int:
    """How many actors are to hold the model in ``folder``, where the settings do not say.

    None on CPUs where it is small: every process that does the work then holds it, so that all cores take part.
    """
    if given is not None or gpus:
        return given or 1
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.suffix in _COUNT)
    return 0 if size <= _SMALL else 1


def folder_hash(folder: Path) -> str:
    """SHA-256 (hex) of the weights and settings in ``folder``; documents do not count."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in _COUNT:
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def licence(folder: Path) -> str:
    """The licence that the folder's model card states in its header, or "unknown"."""
    card = folder / "README.md"
    if card.is_file():
        found = re.search(r"^license:[ \t]*(\S+)[ \t]*$", card.read_text(encoding="utf-8"), re.MULTILINE)
        if found:
            return found.group(1)
    return "unknown"


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
