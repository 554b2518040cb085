"""The one trainer: a job on Ray Train with DeepSpeed, or in this process alone.

A job that was killed goes on from its last checkpoint when it is started again with the same folder. Ray and
DeepSpeed are imported only where they run.
"""

import shutil
import tempfile
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hummingbird.config.cluster import RaySettings, connect
from hummingbird.core.devices import resolve_device
from hummingbird.core.errors import InputError
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


def train(job: TrainingJob, ray: RaySettings) -> Path:
    """Runs a job to its last step and returns the folder of the trained U-Net (the moving average).

    Raises:
        InputError: the cluster is too small for the workers, or the job's inputs are bad.
        FloatingPointError: the loss is no longer finite.
        TrainingStopped: what watches the run saw that it does harm.
        ray.train.TrainingFailedError: more workers were lost than ``training.max_failures``.
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
    import ray
    from ray.train import CheckpointConfig, FailureConfig, LoggingConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    class Trainer(TorchTrainer):
        controller: Any = None

        def _register_sigint_handler(self, controller: Any) -> None:
            """Registers none. Ray's would end the process as if all were well, and stay when the training is over, so
            that Ctrl-C did nothing any more: an interruption is a KeyboardInterrupt, as everywhere."""
            self.controller = controller

    resources = ray.cluster_resources()
    device = resolve_device(job.training.device, "training.device", resources.get("GPU", 0) > 0)
    workers = job.training.workers
    needed = {"CPU": job.training.cpus_per_worker, "GPU": int(device == "cuda")}
    for unit, count in needed.items():
        if resources.get(unit, 0) < workers * count:  # else Ray would wait for ever
            raise InputError(
                f"training.workers={workers} need {workers * count} {unit}s, the Ray cluster has "
                f"{resources.get(unit, 0):g}: use fewer workers or threads, or another training.device"
            )
    trainer = Trainer(
        train_worker,
        train_loop_config={"job": job},
        torch_config=TorchConfig(backend="nccl" if device == "cuda" else "gloo"),
        scaling_config=ScalingConfig(
            num_workers=workers, use_gpu=device == "cuda", resources_per_worker=needed
        ),
        run_config=RunConfig(
            name="ray",
            storage_path=str(job.folder),
            failure_config=FailureConfig(max_failures=job.training.max_failures),
            checkpoint_config=CheckpointConfig(num_to_keep=CHECKPOINTS_KEPT),
            logging_config=LoggingConfig(log_level="WARNING"),  # the progress bar says enough
        ),
    )
    try:
        hopeless = trainer.fit().return_value
    except KeyboardInterrupt:
        if trainer.controller is not None:
            with suppress(ray.exceptions.RayActorError):  # which is how it ends
                ray.get(trainer.controller.abort.remote())
        raise
    if hopeless is not None:
        kind, text = hopeless
        raise TrainingStopped(text) if kind == TrainingStopped.__name__ else FloatingPointError(text)


def train_worker(config: dict[str, Any]) -> tuple[str, str] | None:
    """What Ray Train runs in every worker.

    Returns:
        None, or why it is of no use to start the workers again, the error's name and words: every worker ends at the
        same step with this.
    """
    import ray.train
    from ray.train.torch import get_device

    job: TrainingJob = config["job"]
    torch.set_num_threads(job.training.cpus_per_worker)
    context = ray.train.get_context()
    worker = Worker(context.get_world_rank(), context.get_world_size(), get_device())
    pace = Pace(job.steps, job.training.warmup_steps, job.minutes)
    checkpoint = ray.train.get_checkpoint()
    with nullcontext() if checkpoint is None else checkpoint.as_directory() as folder:
        state = sharded_state(job, worker, pace, folder and Path(folder), context.get_local_rank() == 0)

    def save(step: int) -> None:
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
