"""The small world in which truth is known, and where its shipped weights lie."""

from pathlib import Path

WEIGHTS = Path(__file__).parent / "weights"


def weights_folder(name: str) -> Path:
    """The folder of shipped weights: teacher, student, components, rewards, quality or captioner.

    Raises:
        FileNotFoundError: there are none of that name.
    """
    folder = WEIGHTS / name
    if not folder.is_dir():
        known = sorted(path.name for path in WEIGHTS.iterdir() if path.is_dir()) if WEIGHTS.is_dir() else []
        raise FileNotFoundError(f"no shipped weights {name!r}; there are: {', '.join(known) or 'none'}")
    return folder
