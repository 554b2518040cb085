"""A run of a verb: its folder, its row in the table ``runs``, and the ``result.json`` it ends with."""

import fcntl
import hashlib
import json
import logging
import math
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hummingbird
from hummingbird.config.settings import Settings, settings_hash
from hummingbird.core import interruption
from hummingbird.core.errors import InputError
from hummingbird.core.files import AnyPath, as_path, write_atomically
from hummingbird.core.logs import logged_as
from hummingbird.core.masking import mask, mask_text
from hummingbird.core.remote_path import RemotePath
from hummingbird.core.scratch import download, keep_as_copy, origin, upload, work_folder

if TYPE_CHECKING:  # opened where a run is
    from hummingbird.lake.lake import Lake

RESULT_SCHEMA_VERSION = 1

log = logging.getLogger(__name__)


@dataclass
class Run:
    """What a verb works with while it runs; set ``outputs``, ``metrics`` and ``snapshot_id``."""

    verb: str
    run_id: str
    folder: Path
    """Where its files are written: in the storage, or, where that is a URI, in scratch, from where they go there when
    the run has finished."""
    lake: "Lake"
    settings_hash: str
    inputs: Mapping[str, object]
    previous: dict[str, Any] | None
    """The ``result.json`` of this same run if it finished before, else none: nothing need be redone."""
    snapshot_id: int | None = None
    """The snapshot of clips that is read."""
    outputs: dict[str, Any] = field(default_factory=dict)
    """Artifacts: names and paths or ids."""
    metrics: dict[str, Any] = field(default_factory=dict)
    """Numbers, nested as needed; NaN and infinity become null in JSON."""

    @property
    def result_path(self) -> Path:
        """Where ``result.json`` is, once the run has ended."""
        return self.folder / "result.json"


@contextmanager
def open_run(
    settings: Settings,
    verb: str,
    sections: Sequence[str] | None = None,
    inputs: Mapping[str, object] | None = None,
    folder: AnyPath | None = None,
    snapshot_id: int | None = None,
) -> Iterator[Run]:
    """Runs the body as one run of a verb.

    The folder is ``<storage>/<verb>/<key>`` with the key from the settings that matter and the inputs, so the
    same call after a crash finds what it left there. However the body ends, ``result.json`` and the row in
    ``runs`` say so: finished, failed (with the error) or interrupted; the exception goes on. A process that
    is killed without notice leaves the state "running" until the same call runs again.

    Args:
        settings: the tree.
        verb: name of the verb.
        sections: sections of the settings that the result depends on; none: the verb's own.
        inputs: what else it depends on: snapshot, hashes of models, paths.
        folder: a fixed folder in place of the one named by the key.
        snapshot_id: the snapshot of clips that is read, where it is known from the start.

    Raises:
        InputError: the same run is running in another process.
    """
    from hummingbird.lake.lake import Lake

    inputs = dict(inputs or {})
    sections = (verb,) if sections is None else sections
    key = settings_hash(settings, sections, verb=verb, snapshot=snapshot_id, inputs=inputs)[:12]
    place = folder if folder is not None else settings.storage / verb / key
    lake = Lake.open(settings)
    folder = work_folder(place)
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        run = Run(
            verb=verb,
            run_id=f"{verb}-{key}",
            folder=folder,
            lake=lake,
            settings_hash=settings_hash(settings),
            inputs=inputs,
            previous=_finished_before(folder, f"{verb}-{key}"),
            snapshot_id=snapshot_id,
        )
        yield from _recorded(run, settings)


def load_result(path: str | AnyPath) -> dict[str, Any]:
    """A ``result.json`` of this or another run."""
    loaded: dict[str, Any] = json.loads(origin(as_path(path)).read_text(encoding="utf-8"))
    return loaded


def _recorded(run: Run, settings: Settings) -> Iterator[Run]:
    started, clock = datetime.now(UTC), time.monotonic()

    interrupted = threading.Event()

    def record(state: str, error: str | None = None, lake: "Lake | None" = None) -> None:
        finished = None if state == "running" else datetime.now(UTC)
        result = {
            "schema_version": RESULT_SCHEMA_VERSION,
            "verb": run.verb,
            "run_id": run.run_id,
            "state": state,
            "settings_hash": run.settings_hash,
            "code_version": code_version(),
            "input_snapshot": run.snapshot_id,
            "inputs": mask(_jsonable(run.inputs)),
            "outputs": _jsonable(run.outputs),
            "metrics": _jsonable(run.metrics),
            "error": None if error is None else mask_text(error),
            "started": started,
            "finished": finished,
        }
        row = {key: value for key, value in result.items() if key != "schema_version"}
        (lake or run.lake).put_run({**row, "settings": mask(settings.model_dump(mode="json"))})
        if finished is not None:
            result |= {
                "started": started.isoformat(),
                "finished": finished.isoformat(),
                "seconds": round(time.monotonic() - clock, 3),
            }
            write_atomically(
                origin(run.result_path), (json.dumps(result, indent=2, allow_nan=False) + "\n").encode()
            )

    def record_interruption() -> None:
        from hummingbird.lake.lake import Lake

        interrupted.set()
        record(
            "interrupted", lake=Lake.open(settings, create=False)
        )  # the other thread may be using run.lake

    record("running")
    place = origin(run.folder)
    try:
        with interruption.first(record_interruption), logged_as(run.run_id):
            log.info("began in %s, code %s", place, code_version())
            yield run
            if isinstance(place, RemotePath):
                upload(run.folder, place)
    except BaseException as error:
        if interrupted.is_set():
            interruption.finish()
        elif isinstance(error, KeyboardInterrupt):
            record("interrupted")
        else:
            record("failed", f"{type(error).__name__}: {error}")
        raise
    record("finished")
    if isinstance(place, RemotePath):
        keep_as_copy(run.folder)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Holds the folder's lock, which the system releases when the process dies."""
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(f"the same run is running in another process, in {folder}") from error
        yield


def _finished_before(folder: Path, run_id: str) -> dict[str, Any] | None:
    path = origin(folder / "result.json")
    if not path.is_file():
        return None
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    same = result["run_id"] == run_id and result["schema_version"] == RESULT_SCHEMA_VERSION
    if not same or result["state"] != "finished":
        return None
    if isinstance(path, RemotePath):
        download(path.parent, folder)
        result["outputs"] = _below(result["outputs"], str(path.parent), str(folder))
    return result


def _below(value: Any, root: str, folder: str) -> Any:
    """Outputs with the places below a run's URI as files of its folder, which holds them again."""
    if isinstance(value, Mapping):
        return {key: _below(item, root, folder) for key, item in value.items()}
    if isinstance(value, list):
        return [_below(item, root, folder) for item in value]
    inside = isinstance(value, str) and value.startswith(f"{root}/")
    return folder + value.removeprefix(root) if inside else value


def _jsonable(value: Any) -> Any:
    """A value as JSON holds it: paths as text (those of scratch as the URIs they stand for), scalars of NumPy and torch
    as numbers, no NaN."""
    if isinstance(value, str | Path):
        place = origin(Path(value)) if str(value).startswith("/") else value
        return str(place) if isinstance(place, RemotePath) else str(value)
    if isinstance(value, Mapping):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(item) for item in value]
    if hasattr(value, "tolist"):
        return _jsonable(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


@cache
def code_version() -> str:
    """The version of the package with the commit of its checkout ("+dirty" if changed), or, where there is no
    checkout, with a hash of its source files."""
    package = Path(hummingbird.__file__).parent
    try:
        # Installed below the checkout of some other project, the package is not tracked there.
        _git(package, "ls-files", "--error-unmatch", "__init__.py")
        described = _git(package, "describe", "--always", "--dirty=.dirty", "--abbrev=12", "--exclude=*")
        return f"{hummingbird.__version__}+{described}"
    except (OSError, subprocess.SubprocessError):
        digest = hashlib.sha256()
        for path in sorted(package.rglob("*.py")):
            digest.update(path.relative_to(package).as_posix().encode() + path.read_bytes())
        return f"{hummingbird.__version__}+source.{digest.hexdigest()[:12]}"


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=20, check=True
    )
    return done.stdout.strip()
