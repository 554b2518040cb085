"""Which code runs: a hash of the source files, the same wherever they are installed."""

import hashlib
import os
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import hummingbird
from hummingbird.core.errors import InputError

PACKAGES = ("hummingbird", "hummingbird_data", "hummingbird_jobs", "hummingbird_serve")
SUBMITTED = "HUMMINGBIRD_SUBMITTED"
"""Environment variable of a submitted job: the version and source hash of the machine that submitted it."""


@cache
def source_version() -> str:
    """``VERSION+HASH``, the hash (12 hex digits) that of the Python files of all packages that are installed."""
    digest = hashlib.sha256()
    for name in PACKAGES:
        folder = package_folder(name)
        if folder is None:
            continue
        for path in sorted(folder.rglob("*.py")):
            digest.update(f"{name}/{path.relative_to(folder).as_posix()}\0".encode() + path.read_bytes())
    return f"{hummingbird.__version__}+{digest.hexdigest()[:12]}"


def package_folder(name: str) -> Path | None:
    """Where a package of ours is; none: it is not installed."""
    spec = find_spec(name)
    return None if spec is None or spec.origin is None else Path(spec.origin).parent


def check_submitted() -> None:
    """Whether a submitted job runs the code of the machine that submitted it.

    Raises:
        InputError: it does not.
    """
    expected = os.environ.get(SUBMITTED)
    if expected and expected != source_version():
        raise InputError(
            f"the job was submitted with hummingbird {expected}, the cluster has {source_version()}: install the same "
            "on both, or send yours along (submit --with-code)"
        )
