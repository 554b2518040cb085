"""What a worker starts with: the method, and an engine and an average for each of its networks."""

from collections.abc import Callable
from typing import Any

import torch

from hummingbird.training.adapters import add_lora
from hummingbird.training.checkpoint import TrainingState
from hummingbird.training.engine import EMA, TrainEngine
from hummingbird.training.loop import TrainingJob
from hummingbird.training.methods.base import STUDENT, TrainedNetwork


def training_state(
    job: TrainingJob, device: torch.device, engine: Callable[[TrainedNetwork], TrainEngine]
) -> TrainingState:
    """The method, and an engine for each of its networks, made by ``engine``."""
    method = job.build(device)
    engines, averages = {}, {}
    for name, network in method.networks.items():
        module: Any = network.module
        module.train()  # models are loaded for evaluation; the dropout of VideoCrafter2's structure is for training
        module.gradient_checkpointing = job.training.gradient_checkpointing
        if name == STUDENT and job.lora.rank:
            torch.manual_seed(
                job.seed
            )  # the same adapters in every worker, and whenever the run starts again
            add_lora(module, job.lora, network.fresh)
            module.train()
        if name == STUDENT or network.average:
            averages[name] = EMA(module, job.training.ema_decay, share_frozen=job.training.zero_stage < 3)
        engines[name] = engine(network)
    return TrainingState(method, engines, averages)
