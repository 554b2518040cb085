"""Training on several workers: DeepSpeed's engines, and checkpoints of any number of workers."""

import os
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hummingbird.core.precision import resolve_precision
from hummingbird.training.checkpoint import NETWORKS, TrainingState, load_state, saved_workers
from hummingbird.training.data import Worker
from hummingbird.training.engine import Pace, optimizer_and_schedule
from hummingbird.training.loop import TrainingJob
from hummingbird.training.methods.base import TrainedNetwork
from hummingbird.training.start import training_state
from hummingbird.training.universal import universal_copy


def sharded_state(
    job: TrainingJob, worker: Worker, pace: Pace, checkpoint: Path | None, first_of_node: bool
) -> TrainingState:
    """What this worker trains, as a checkpoint left it; every worker calls it, in an open process group.

    Args:
        pace: of the job; with the checkpoint it is set to where that was.
        checkpoint: a folder; none: from the start.
        first_of_node: whether this is the first worker of its machine.
    """
    # Without ZeRO every worker has all, and any number of them can load it.
    convert = (
        checkpoint is not None and job.training.zero_stage > 0 and saved_workers(checkpoint) != worker.world
    )
    state = training_state(
        job, worker.device, lambda network: _deepspeed_engine(job, network, pace, worker.device, convert)
    )
    if checkpoint is None:
        return state
    if convert:
        with universal_copy(checkpoint / NETWORKS, sorted(state.engines), first_of_node) as networks:
            load_state(checkpoint, state, worker.rank, networks)
    else:
        load_state(checkpoint, state, worker.rank)
    return state


def _deepspeed_engine(
    job: TrainingJob, network: TrainedNetwork, pace: Pace, device: torch.device, universal: bool
) -> Any:
    """An engine; ``universal``: to which a checkpoint of another number of workers will be loaded."""
    if device.type == "cpu":
        os.environ["DS_ACCELERATOR"] = "cpu"
    import deepspeed
    from deepspeed.ops import __compatible_ops__
    from deepspeed.utils import logger

    logger.setLevel("WARNING")
    # Else a first run compiles a shared-memory operator for most of a minute, and fails without a compiler.
    __compatible_ops__["deepspeed_shm_comm"] = False
    optimizer, schedule = optimizer_and_schedule(network, job.learning_rate, pace, job.training)
    bf16 = resolve_precision(device, job.training.mixed_precision) == "bf16"
    zero: dict[str, Any] = {"stage": job.training.zero_stage}
    if job.training.offload_optimizer and job.training.zero_stage:
        zero["offload_optimizer"] = {"device": "cpu", "pin_memory": device.type == "cuda"}
    config: dict[str, Any] = {
        "train_micro_batch_size_per_gpu": 1,  # asked for, but read only where DeepSpeed logs its speed
        "gradient_accumulation_steps": job.training.gradient_accumulation,
        "gradient_clipping": job.training.max_grad_norm,
        "zero_optimization": zero,
        "zero_force_ds_cpu_optimizer": False,  # its own needs a compiler, and steps as torch's does
        # The same autocast as the loop's, and no module's gradients reduced in less than float32.
        "torch_autocast": {"enabled": bf16, "dtype": "bfloat16", "lower_precision_safe_modules": []},
        "steps_per_print": 10**9,
        "checkpoint": {"load_universal": universal},
    }
    engine, *_ = deepspeed.initialize(
        model=network.module, optimizer=optimizer, lr_scheduler=schedule, config=config
    )
    if not job.training.zero_stage:
        _keep_norm(engine, job.training.max_grad_norm)
    return engine


def _keep_norm(engine: Any, max_norm: float) -> None:
    """Without ZeRO, DeepSpeed clips and forgets the gradient's norm: it is logged, and a gradient that is not finite is
    seen by it."""

    def clip() -> None:
        engine._global_grad_norm = nn.utils.clip_grad_norm_(engine.module.parameters(), max_norm)

    engine.clip_fp32_gradients = clip
