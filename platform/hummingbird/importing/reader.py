"""Reads weights from files of unknown origin: safetensors directly, pickles in an isolated process."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from hummingbird.core.errors import InputError
from hummingbird.importing import unpickle
from hummingbird.importing.table import Weights

SECONDS = 1800.0
_shapes_alone: ContextVar[bool] = ContextVar("shapes_alone", default=False)
ZIP, PICKLE = b"PK\x03\x04", b"\x80"


@contextmanager
def shapes_alone() -> Iterator[None]:
    """Within it `open_weights` reads names, shapes and types: tensors are on the device ``meta``."""
    token = _shapes_alone.set(True)
    try:
        yield
    finally:
        _shapes_alone.reset(token)


@contextmanager
def open_weights(path: Path, scratch: Path | None = None, seconds: float = SECONDS) -> Iterator[Weights]:
    """The tensors of a file, as they are stored; they are mapped from disk and gone at the end of the context.

    The format is told by the content, not by the name. A pickled file is read with ``weights_only`` in a process of
    its own, which writes safetensors to a temporary folder; the dictionaries that training frameworks put around the
    weights (``state_dict``, ``module``) are opened.

    Args:
        path: the file.
        scratch: where temporary folders are made: as large as the file; default: the system's.
        seconds: how long the reading process may take.

    Raises:
        InputError: no such file, damaged or cut short, no weights, or a pickle of whole objects.
    """
    if not path.is_file():
        raise InputError(f"no checkpoint at {path}: give the path of the file")
    with path.open("rb") as file:
        head = file.read(16)
    if not head:
        raise InputError(f"{path} is empty: fetch it again")
    # The length of safetensors' header may begin with a pickle's first byte; the header itself is JSON.
    if head[:4] == ZIP or (head[:1] == PICKLE and head[8:9] != b"{"):
        with TemporaryDirectory(prefix="import-", dir=scratch) as folder:
            converted = Path(folder) / "weights.safetensors"
            answer = _unpickle(path, converted, seconds)
            yield _described(answer["shapes"], path) if _shapes_alone.get() else _map(converted, path)
    else:
        yield _map(path, path)


def _described(shapes: Mapping[str, Any], origin: Path) -> Weights:
    tensors = {
        name: torch.empty(size, dtype=getattr(torch, kind), device="meta")
        for name, (size, kind) in shapes.items()
    }
    return Weights(tensors, str(origin))


def _unpickle(source: Path, target: Path, seconds: float) -> Mapping[str, Any]:
    free = shutil.disk_usage(target.parent).free
    if free < source.stat().st_size and not _shapes_alone.get():
        raise InputError(
            f"{target.parent} has too little space for a copy of {source}: set TMPDIR to a larger disk"
        )
    # torch goes by the name where the file itself is told by its content.
    plain = target.with_name("checkpoint")
    plain.symlink_to(source.absolute())
    answer = _in_child(plain, target, seconds)
    if "error" in answer:
        raise InputError(_explained(source, answer))
    return answer


def _in_child(source: Path, target: Path, seconds: float) -> dict[str, Any]:
    command = [sys.executable, "-I", unpickle.__file__, str(source), str(target)]
    command += ["shapes"] if _shapes_alone.get() else []
    environment = {"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1", "TMPDIR": str(target.parent)}
    try:
        done = subprocess.run(
            command,
            env=environment,
            cwd=target.parent,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired as error:
        raise InputError(
            f"{source.resolve()}: not read after {seconds:.0f} s; the file is damaged or the disk slow"
        ) from error
    try:
        answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError) as error:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise InputError(
            f"{source.resolve()}: the process that reads it ended with code {done.returncode} ({last[:200]}); "
            "the file is damaged, or larger than the memory: fetch it again, or take the safetensors"
        ) from error
    return answer


def _explained(source: Path, answer: Mapping[str, str]) -> str:
    detail = " ".join(answer["detail"].split())
    kind = answer["error"]
    if kind == "objects" and (named := _named_global(detail)):
        return (
            f"{source} is a pickle of whole objects (it asks for {named}): reading it would run code that the file "
            "brings, so it is not read. Take a file of weights alone (safetensors, or a pickled state dict), or make "
            "one on a machine you can throw away: torch.save(model.state_dict(), FILE)"
        )
    if kind == "no tensors":
        return f"{source} holds no dictionary of tensors but {detail}: give a state dict"
    if kind == "names":
        return f"{source} holds entries that are no tensors: {detail}; give the state dict alone"
    return f"{source} is damaged or cut short ({detail[:160]}): fetch it again and compare its size or hash"


def _named_global(detail: str) -> str | None:
    """What a refused pickle asked for, by torch's message; None where the bytes were no pickle at all."""
    for mark in ("Unsupported global: GLOBAL ", "Unsupported class "):
        if mark in detail:
            return detail.split(mark, 1)[1].split()[0].rstrip(".,")
    if "Unsupported operand" in detail or "Trying to call reduce" in detail or "Can only" in detail:
        return "objects of its own"
    return None


def _map(file: Path, origin: Path) -> Weights:
    try:
        with safe_open(file, framework="pt") as stored:
            order = (stored.metadata() or {}).get("order") if file != origin else None
            names = json.loads(order) if order else list(stored.keys())
            read = _empty if _shapes_alone.get() else _whole
            tensors: dict[str, Tensor] = {name: read(stored, name) for name in names}
    except SafetensorError as error:
        raise InputError(
            f"{origin} is no checkpoint that can be read, or is cut short ({error}): safetensors and torch's pickled "
            "files are; fetch it again and compare its size or hash"
        ) from error
    if not tensors:
        raise InputError(f"{origin} holds no tensors")
    return Weights(tensors, str(origin))


def _whole(stored: Any, name: str) -> Tensor:
    tensor: Tensor = stored.get_tensor(name)
    return tensor


def _empty(stored: Any, name: str) -> Tensor:
    part = stored.get_slice(name)
    return torch.empty(part.get_shape(), dtype=_TYPES[part.get_dtype()], device="meta")


_TYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
    "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
    "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2,
}  # fmt: skip
