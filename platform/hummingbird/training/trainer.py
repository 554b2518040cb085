"""The one trainer: a job on Ray Train with DeepSpeed, or in this process alone.

A job that was killed goes on from its last checkpoint when it is started again with the same folder. Ray and
DeepSpeed are imported only where they run.
"""

import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hummingbird.config.cluster import RaySettings, connect
from hummingbird.core.devices import resolve_device
from hummingbird.core.errors import InputError
from hummingbird.core.files import AnyPath, write_atomically
from hummingbird.core.remote_path import RemotePath
from hummingbird.core.resources import placement, reachable_resources, told_while_waiting
from hummingbird.core.scratch import download, origin, upload
from hummingbird.core.shared_folder import SharedFolder
from hummingbird.training.adapters import has_lora, merge_lora, save_lora
from hummingbird.training.checkpoint import load_state, save_state
from hummingbird.training.data import Worker
from hummingbird.training.engine import Pace, PlainEngine
from hummingbird.training.log import LOSSES
from hummingbird.training.loop import TrainingJob, TrainingStopped, run_loop
from hummingbird.training.methods.base import STUDENT
from hummingbird.training.progress import training_bar
from hummingbird.training.sharded import sharded_state
from hummingbird.training.start import training_state

CHECKPOINTS_KEPT = 2
TRAINED = ("unet", "adapter")
"""Folders that a training leaves, the second where it trained one."""

log = logging.getLogger(__name__)


def train(job: TrainingJob, ray: RaySettings) -> Path:
    """Runs a job to its last step and returns the folder of the trained U-Net (the moving average).

    Raises:
        InputError: the cluster is too small for the workers, or the job's inputs are bad.
        FloatingPointError: the loss is no longer finite.
        TrainingStopped: what watches the run saw that it does harm.
        ray.train.TrainingFailedError: more workers were lost than ``training.max_failures``, without a
            checkpoint between them.
    """
    job.folder.mkdir(parents=True, exist_ok=True)
    with training_bar(job.name, job.steps, job.folder / LOSSES):
        if job.training.engine == "process":
            save_trained(train_in_process(job), job.folder)
        else:
            train_on_ray(job, ray)
    return job.folder / "unet"


def train_in_process(job: TrainingJob) -> nn.Module:
    """One worker, in this process, without Ray and DeepSpeed.

    Returns:
        The trained network (the moving average), which is written nowhere but in the last checkpoint.
    """
    device = torch.device(resolve_device(job.training.device, "training.device"))
    pace = Pace(job.steps, job.training.warmup_steps, job.minutes)
    state = training_state(
        job, device, lambda network: PlainEngine(network, job.learning_rate, pace, job.training)
    )
    folder = job.folder / "checkpoint"
    checkpoints = sorted(folder.glob("step_*"))
    if checkpoints:
        load_state(checkpoints[-1], state, rank=0)

    def save(step: int) -> None:
        shutil.rmtree(folder / "new", ignore_errors=True)
        save_state(folder / "new", state, rank=0)
        before = list(folder.glob("step_*"))
        (folder / "new").rename(folder / f"step_{step:08d}")
        for old in before:  # only now: whenever the process is killed, a whole checkpoint is there
            shutil.rmtree(old)

    run_loop(job, state, Worker(0, 1, device), pace, save)
    return state.averages[STUDENT].module


def train_on_ray(job: TrainingJob, settings: RaySettings) -> None:
    """Ray Train and DeepSpeed; lost workers are replaced, and the run goes on from its last checkpoint."""
    connect(settings)
    from ray.train import CheckpointConfig, FailureConfig, LoggingConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    class Trainer(TorchTrainer):
        controller: Any = None

        def _register_sigint_handler(self, controller: Any) -> None:
            """Registers none. Ray's would end the process as if all were well, and stay when the training is over, so
            that Ctrl-C did nothing any more: an interruption is a KeyboardInterrupt, as everywhere."""
            self.controller = controller

    resources = reachable_resources()
    device = resolve_device(job.training.device, "training.device", resources.get("GPU", 0) > 0)
    workers = job.training.workers
    needed = {"CPU": job.training.cpus_per_worker, "GPU": int(device == "cuda")}
    for unit, count in needed.items():
        if resources.get(unit, 0) < workers * count:  # else Ray would wait for ever
            raise InputError(
                f"training.workers={workers} need {workers * count} {unit}s, the Ray cluster has no more than "
                f"{resources.get(unit, 0):g}: use fewer workers or threads, or another training.device"
            )
    # On a busy cluster, or one whose nodes are still to come, Ray's minute is not enough.
    os.environ.setdefault("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", str(7 * 86400))
    place = origin(job.folder)
    shared = SharedFolder.mark(place)
    if shared is not None:
        shared.check_nodes()
    make_trainer = partial(
        Trainer,
        train_worker,
        train_loop_config={"job": job, "shared": shared},
        torch_config=TorchConfig(backend="nccl" if device == "cuda" else "gloo"),
        scaling_config=ScalingConfig(
            num_workers=workers,
            use_gpu=device == "cuda",
            resources_per_worker=needed,
            **placement(needed["GPU"]),
        ),
        run_config=RunConfig(
            name="ray",
            **_checkpoint_storage(place),
            failure_config=FailureConfig(max_failures=job.training.max_failures),
            checkpoint_config=CheckpointConfig(num_to_keep=CHECKPOINTS_KEPT),
            logging_config=LoggingConfig(log_level="WARNING"),  # the progress bar says enough
        ),
    )
    per_worker = " and ".join(f"{count} {unit}" for unit, count in needed.items() if count)
    begun = partial(_has_begun, job.folder, time.time())
    with told_while_waiting(f"{workers} workers of {per_worker} each", needed, begun):
        hopeless = _fit(make_trainer, job)
    if hopeless is not None:
        kind, text = hopeless
        raise TrainingStopped(text) if kind == TrainingStopped.__name__ else FloatingPointError(text)
    if isinstance(place, RemotePath):  # the first worker may have been on another machine
        for name in TRAINED:
            if (place / name).is_dir():
                download(place / name, job.folder / name)
        download(place / LOSSES, job.folder / LOSSES)


def _checkpoint_storage(place: AnyPath) -> dict[str, Any]:
    if isinstance(place, Path):
        return {"storage_path": str(place)}
    system, path = place.system()
    return {"storage_path": path, "storage_filesystem": system}


def _has_begun(folder: Path, start: float) -> bool:
    log = folder / LOSSES  # which the first worker writes anew when it begins
    return log.is_file() and log.stat().st_mtime >= start


def _fit(make_trainer: Callable[[], Any], job: TrainingJob) -> tuple[str, str] | None:
    """Trains; ``training.max_failures`` counts anew where there is a checkpoint since.

    Raises:
        ray.train.TrainingFailedError: more workers were lost without a checkpoint between them.
    """
    import ray

    while True:
        before, trainer = _last_checkpoint(job.folder), make_trainer()
        try:
            hopeless: tuple[str, str] | None = trainer.fit().return_value
            return hopeless
        except ray.train.TrainingFailedError as error:
            last = _last_checkpoint(job.folder)
            for failure in getattr(error, "worker_failures", {}).values():
                cause = getattr(failure, "cause", failure)
                if isinstance(cause, InputError):  # a sentence for the user, from a worker
                    raise cause from error
            if last == before:
                raise
            log.warning("workers were lost more than %d times; on from %s", job.training.max_failures, last)
        except KeyboardInterrupt:
            if trainer.controller is not None:
                with suppress(ray.exceptions.RayActorError):  # which is how it ends
                    ray.get(trainer.controller.abort.remote())
            raise


def _last_checkpoint(folder: Path) -> str | None:
    folders: Iterator[AnyPath] = (origin(folder) / "ray").glob("step_*")
    return max((path.name for path in folders), default=None)


def train_worker(config: dict[str, Any]) -> tuple[str, str] | None:
    """What Ray Train runs in every worker.

    Returns:
        None, or why it is of no use to start the workers again, the error's name and words: every worker ends at the
        same step with this.
    """
    import ray.train
    from ray.train.torch import get_device

    job: TrainingJob = config["job"]
    if config["shared"] is not None:
        config["shared"].check()
    torch.set_num_threads(job.training.cpus_per_worker)
    context = ray.train.get_context()
    worker = Worker(context.get_world_rank(), context.get_world_size(), get_device())
    pace = Pace(job.steps, job.training.warmup_steps, job.minutes)
    checkpoint = ray.train.get_checkpoint()
    with nullcontext() if checkpoint is None else checkpoint.as_directory() as folder:
        state = sharded_state(job, worker, pace, folder and Path(folder), context.get_local_rank() == 0)

    place, losses = origin(job.folder), job.folder / LOSSES
    if worker.rank == 0 and isinstance(place, RemotePath) and (place / LOSSES).is_file():
        download(place / LOSSES, losses)

    def save(step: int) -> None:
        if worker.rank == 0 and isinstance(place, RemotePath) and losses.is_file():
            write_atomically(place / LOSSES, losses.read_bytes())
        with tempfile.TemporaryDirectory() as folder:
            save_state(Path(folder), state, worker.rank, worker.world)
            ray.train.report(
                {"step": step},
                checkpoint=ray.train.Checkpoint.from_directory(folder),
                checkpoint_dir_name=f"step_{step:08d}",
            )

    try:
        run_loop(job, state, worker, pace, save)
    except (FloatingPointError, TrainingStopped) as error:
        return type(error).__name__, str(error)
    if worker.rank == 0:
        save_trained(state.averages[STUDENT].module, job.folder)
        if isinstance(place, RemotePath):
            for name in TRAINED:
                upload(job.folder / name, place / name)
    return None


def save_trained(network: Any, folder: Path) -> None:
    """Writes ``unet``, a trained network, whole or not at all; of one with adapters also ``adapter``, as peft does, and
    ``unet`` has them merged."""
    if has_lora(network):
        save_lora(network, folder / "adapter")
        merge_lora(network)
    network.save_pretrained(folder / "unet.new")
    shutil.rmtree(folder / "unet", ignore_errors=True)
    (folder / "unet.new").rename(folder / "unet")
