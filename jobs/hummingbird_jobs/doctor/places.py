"""What the doctor looks at of places: footage, prompts, storage, catalog."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

from hummingbird.config.settings import Settings
from hummingbird.core.files import as_path
from hummingbird.core.remote_path import RemotePath

from hummingbird_jobs.doctor.finding import Finding, State


def check_source(settings: Settings) -> Iterator[Finding]:
    """Footage and prompts."""
    source = settings.curate.source
    if "curate" in settings.line.verbs and "footage" not in settings.line.verbs:
        if source is None:
            yield Finding("missing", "curate.source", "no footage is named: curate.source=PLACE")
        elif isinstance(source, Path) and not source.exists() and not list(source.parent.glob(source.name)):
            yield Finding("missing", "curate.source", f"there is nothing at {source}")
        else:
            yield Finding("ok", "curate.source", str(source))
    prompts = settings.evaluate.prompts
    if isinstance(prompts, Path):
        state: State = "ok" if prompts.is_file() else "missing"
        yield Finding(state, "evaluate.prompts", str(prompts) + ("" if state == "ok" else " is not there"))


def check_storage(settings: Settings) -> Iterator[Finding]:
    """Whether a file can be written to the storage, read back and removed."""
    storage = as_path(settings.storage)
    probe = storage / f".doctor-{uuid.uuid4().hex}"
    if isinstance(storage, RemotePath):
        try:
            with probe.open("wb") as file:
                file.write(b"probe")
            with probe.open("rb") as file:
                whole = file.read() == b"probe"
            probe.unlink()
        except OSError as error:
            yield Finding("missing", "storage", f"{storage}: {error}: look at its address and credentials")
        else:
            state: State = "ok" if whole else "missing"
            yield Finding(state, "storage", f"{storage}: written and read back{'' if whole else ' differ'}")
    else:
        folder = existing_folder(storage)
        if os.access(folder, os.W_OK):
            yield Finding("ok", "storage", f"{storage}")
        else:
            yield Finding("missing", "storage", f"{folder} cannot be written to: storage=PLACE")


def check_catalog(settings: Settings) -> Iterator[Finding]:
    """Whether the lake's catalog answers."""
    from hummingbird.lake.lake import Lake

    local = isinstance(settings.storage, Path)
    if local and not settings.catalog.properties and not settings.storage.exists():
        yield Finding("ok", "catalog", "a new one, in the storage")
        return
    try:
        lake = Lake.open(settings)
        snapshot = lake.snapshot()
    except OSError as error:
        yield Finding("missing", "catalog", f"{error}: look at catalog.properties")
    else:
        yield Finding("ok", "catalog", f"it answers; the snapshot of clips is {snapshot}")


def existing_folder(path: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    return path if path.exists() else existing_folder(path.parent)
