"""The checkpoint of a training: every network with its optimizer and schedule, averages, and the method's own state."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from hummingbird.training.engine import EMA, TrainEngine
from hummingbird.training.methods.base import STUDENT, Method

ENGINE_TAG = "engine"
NETWORKS = "networks"
_WORKERS = "workers.json"


@dataclass(frozen=True)
class TrainingState:
    """What a worker trains: the method, and for each of its networks an engine and, where it has one, an average."""

    method: Method
    engines: Mapping[str, TrainEngine]
    averages: Mapping[str, EMA]


def save_state(folder: Path, state: TrainingState, rank: int, workers: int = 1) -> None:
    """Writes this worker's part of a checkpoint, of ``workers``."""
    # What lets DeepSpeed's converter make a checkpoint for another number of workers.
    universal = {"universal_checkpoint_info": {"universal_checkpoint_version": 0.2}}
    for name, engine in state.engines.items():
        engine.save_checkpoint(str(folder / NETWORKS / name), tag=ENGINE_TAG, client_state=universal)
    if rank == 0:
        (folder / _WORKERS).write_text(json.dumps({"workers": workers}), encoding="utf-8")
        for name, average in state.averages.items():
            torch.save(average.state_dict(), folder / f"average-{name}.pt")
    torch.save(state.method.state(), _method_file(folder, rank))


def saved_workers(folder: Path) -> int:
    """How many workers wrote a checkpoint."""
    workers: int = json.loads((folder / _WORKERS).read_text(encoding="utf-8"))["workers"]
    return workers


def load_state(folder: Path, state: TrainingState, rank: int, networks: Path | None = None) -> None:
    """Restores a checkpoint: weights, optimizers, schedules with their pace, averages, and the method's state.

    Where there were fewer workers, a new one begins with a copy of what the method of an old one remembers.

    Args:
        networks: where the engines' part is, if it was converted for another number of workers.

    Raises:
        RuntimeError: an engine found none in the folder.
    """
    networks = networks or folder / NETWORKS
    for name, engine in state.engines.items():
        path, _ = engine.load_checkpoint(str(networks / name), tag=ENGINE_TAG)
        if path is None:
            raise RuntimeError(f"{folder} holds no checkpoint for this number of workers and ZeRO stage")
    for name, average in state.averages.items():
        average.load_state_dict(_load(folder / f"average-{name}.pt", torch.device("cpu")))
    device = next(state.engines[STUDENT].module.parameters()).device
    state.method.load_state(_load(_method_file(folder, rank % saved_workers(folder)), device))


def _method_file(folder: Path, rank: int) -> Path:
    return folder / f"method-{rank:05d}.pt"


def _load(path: Path, device: torch.device) -> dict[str, object]:
    content: dict[str, object] = torch.load(path, map_location=device, weights_only=True)
    return content
