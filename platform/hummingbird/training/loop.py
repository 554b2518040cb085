"""The training loop: what one worker does, whatever the method and whatever applies the gradients."""

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from hummingbird.config.training import TrainingSettings
from hummingbird.core.precision import resolve_precision
from hummingbird.training.engine import Engine, Pace
from hummingbird.training.latent_cache import LatentCache, Shard
from hummingbird.training.methods.base import Method

LOSSES = "losses.jsonl"
ENGINE_STATE = "engine"
AVERAGE_STATE = "average.pt"


@dataclass(frozen=True)
class Job:
    """A training run, as it is sent to every worker.

    Attributes:
        name: shown beside the progress.
        build: makes the student (in float32) and the method on a device; called once in every worker, so it
            must be a function that workers can import.
        cache: folder of latents.
        folder: the run's; checkpoints, ``losses.jsonl`` and the trained ``unet`` go there. On a cluster every
            node must see it.
        steps: optimizer steps.
        minutes: limit of the training time; none: all steps.
        batch: samples a step and worker.
        learning_rate: peak.
        seed: of order, noise and timesteps; every rank and step draws from its own.
        training: settings shared by all methods.
    """

    name: str
    build: Callable[[torch.device], tuple[nn.Module, Method]]
    cache: Path
    folder: Path
    steps: int
    minutes: float | None
    batch: int
    learning_rate: float
    seed: int
    training: TrainingSettings


@dataclass(frozen=True)
class Worker:
    """Which worker this is."""

    rank: int
    world: int
    device: torch.device


def run_loop(
    job: Job,
    engine: Engine,
    method: Method,
    average: AveragedModel,
    worker: Worker,
    pace: Pace,
    save: Callable[[int], None],
) -> None:
    """Trains from where ``pace`` stands to the last step, or until the time is up.

    Args:
        engine, average, pace: of the student; updated.
        save: called with the number of steps done, every ``checkpoint_every`` steps and at the end.

    Raises:
        FloatingPointError: a loss is not finite.
    """
    cache = LatentCache(job.cache)
    shard = Shard(len(cache), worker.rank, worker.world, job.seed)
    generator = torch.Generator(worker.device)
    log = LossLog(job.folder / LOSSES, pace.step) if worker.rank == 0 else None
    mark = time.perf_counter()
    while pace.done < 1:
        # Seeded by step, so that a resumed run draws what an unbroken one would; also for dropout.
        seed = hash((job.seed, worker.rank, pace.step)) % 2**63
        generator.manual_seed(seed)
        torch.manual_seed(seed)
        loaded = cache.load(shard.indices(pace.step, job.batch))
        batch = {name: tensor.to(worker.device, non_blocking=True) for name, tensor in loaded.items()}
        method.progress = pace.done
        with mixed_precision(worker.device, job.training.mixed_precision):
            losses = method.losses(engine, average.module, batch, generator)
        terms = mean_over_workers({"total": losses.total.detach(), **losses.terms})
        if not all(math.isfinite(value) for value in terms.values()):
            raise FloatingPointError(
                f"step {pace.step + 1}: a loss is not finite: {terms}; lower the learning rate"
            )
        engine.backward(losses.total)
        rate = engine.get_lr()[0]
        # A mean, so that all workers end at the same step; from mark to mark, checkpoints included.
        now = time.perf_counter()
        seconds = mean_over_workers({"seconds": torch.tensor(now - mark, device=worker.device)})["seconds"]
        mark = now
        pace.step, pace.seconds = pace.step + 1, pace.seconds + seconds
        engine.step()
        average.update_parameters(engine.module)
        if log is not None:
            norm = float(engine.get_global_grad_norm() or 0.0)
            log.write(pace.step, {**terms, "learning_rate": rate, "gradient_norm": norm, "seconds": seconds})
        if pace.step % job.training.checkpoint_every == 0 or pace.done >= 1:
            save(pace.step)


def save_state(folder: Path, engine: Engine, average: AveragedModel, rank: int) -> None:
    """Writes this worker's part of a checkpoint."""
    # What lets DeepSpeed's converter make a checkpoint for another number of workers.
    universal = {"universal_checkpoint_info": {"universal_checkpoint_version": 0.2}}
    engine.save_checkpoint(str(folder), tag=ENGINE_STATE, client_state=universal)
    if rank == 0:
        torch.save(average.state_dict(), folder / AVERAGE_STATE)


def load_state(folder: Path, engine: Engine, average: AveragedModel) -> None:
    """Restores a checkpoint: weights, optimizer, schedule with its pace, and moving average.

    Raises:
        RuntimeError: the engine found none in the folder.
    """
    path, _ = engine.load_checkpoint(str(folder), tag=ENGINE_STATE)
    if path is None:
        raise RuntimeError(f"{folder} holds no checkpoint for this number of workers and ZeRO stage")
    average.load_state_dict(torch.load(folder / AVERAGE_STATE, map_location="cpu", weights_only=True))


def mixed_precision(device: torch.device, precision: str) -> torch.autocast:
    """The context of a step's forward passes; weights and gradients stay float32."""
    enabled = resolve_precision(device, precision) == "bf16"
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled)


def mean_over_workers(terms: dict[str, Tensor]) -> dict[str, float]:
    """Each term's mean over all workers; the same on every worker."""
    values = torch.stack([term.float() for term in terms.values()])
    if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
        dist.all_reduce(values)
        values /= dist.get_world_size()
    return dict(zip(terms, values.tolist(), strict=True))


class LossLog:
    """JSON lines, one a step; lines after ``start`` are those of a run that was cut off, and go."""

    def __init__(self, path: Path, start: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = []
        if path.is_file():
            lines = path.read_text(encoding="utf-8").split("\n")[:-1]  # a killed run may leave half a line
            kept = [line for line in lines if json.loads(line)["step"] <= start]
        path.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
        self._path = path

    def write(self, step: int, values: dict[str, float]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(
                json.dumps({"step": step, **{name: round(value, 7) for name, value in values.items()}}) + "\n"
            )
