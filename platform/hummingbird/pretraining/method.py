"""Pretraining as a job of the one trainer: a network, the losses that it learns from, and settings that suit it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hummingbird.config.pretrain import PretrainSettings
from hummingbird.config.training import TrainingSettings
from hummingbird.training.data import DataSource
from hummingbird.training.log import LOSSES, read_losses
from hummingbird.training.loop import TrainingJob
from hummingbird.training.methods.base import (
    STUDENT,
    Losses,
    Method,
    MethodCost,
    TrainedNetwork,
    TrainingStep,
)
from hummingbird.training.progress import training_bar
from hummingbird.training.trainer import train_in_process


class Pretraining(Method):
    """One network and its losses by name, whose sum is minimized."""

    def __init__(self, network: nn.Module, losses: Callable[[TrainingStep], Mapping[str, Tensor]]) -> None:
        self.networks = {STUDENT: TrainedNetwork(network, betas=(0.9, 0.99))}
        self._losses = losses

    def losses(self, network: str, step: TrainingStep) -> Losses:
        """All of them; terms have their names."""
        losses = self._losses(step)
        total = torch.stack([loss.float() for loss in losses.values()]).sum()
        return Losses(total, {name: loss.detach() for name, loss in losses.items()})

    @classmethod
    def cost(cls, settings: Any, batch: int, rewarded: bool) -> MethodCost:
        """One pass with its backward pass."""
        return MethodCost(teacher_passes=0, student_passes=0, trained_passes=1)


def pretraining_job(
    build: Callable[[torch.device], Method],
    data: DataSource,
    folder: Path,
    seed: int,
    settings: PretrainSettings,
    **training: Any,
) -> TrainingJob:
    """The job of a part; ``training`` are its own `TrainingSettings`.

    The learning rate falls to zero as in every training: what is shipped is the moving average, which hardly takes
    notice of the last steps.
    """
    defaults = {"mixed_precision": "bf16", "warmup_steps": 200, "ema_decay": 0.999}
    return TrainingJob(
        name=f"pretrain {settings.part}",
        build=build,
        data=data,
        folder=folder,
        steps=settings.steps,
        minutes=settings.minutes,
        learning_rate=settings.learning_rate,
        seed=seed,
        training=TrainingSettings(
            engine="process" if settings.workers == 1 else "ray",
            workers=settings.workers,
            cpus_per_worker=max(1, settings.threads // settings.workers),
            device=settings.device,
            **{**defaults, **training},
        ),
    )


def pretrain_network(
    network: nn.Module,
    losses: Callable[[TrainingStep], Mapping[str, Tensor]],
    data: DataSource,
    folder: Path,
    seed: int,
    settings: PretrainSettings,
    **training: Any,
) -> dict[str, float]:
    """Trains ``network`` in place and in this process, and leaves it with its averaged weights.

    Goes on from ``folder`` where the same call was stopped.

    Args:
        losses: of a step, with autocast; they call ``network``.
        training: settings that suit the network, see `TrainingSettings`.

    Returns:
        See `training_facts`.

    Raises:
        FloatingPointError: a loss or a gradient was not finite.
    """

    def build(device: torch.device) -> Method:
        return Pretraining(network.to(device), losses)

    return pretrain_by(build, network, data, folder, seed, settings, **training)


def pretrain_by(
    build: Callable[[torch.device], Method],
    network: nn.Module,
    data: DataSource,
    folder: Path,
    seed: int,
    settings: PretrainSettings,
    **training: Any,
) -> dict[str, float]:
    """`pretrain_network` by a method, which ``build`` makes to train ``network`` as its student."""
    job = pretraining_job(build, data, folder, seed, settings, **training)
    folder.mkdir(parents=True, exist_ok=True)
    with training_bar(job.name, job.steps, folder / LOSSES):
        network.load_state_dict(train_in_process(job).state_dict())
    return training_facts(folder)


def training_facts(folder: Path) -> dict[str, float]:
    """``steps``, ``seconds`` of training, and the last value of each loss."""
    lines = read_losses(folder)
    terms = {name: value for name, value in lines[-1].items() if name not in NOT_LOSSES}
    return {"steps": len(lines), "seconds": sum(line["seconds"] for line in lines), **terms}


NOT_LOSSES = frozenset({"step", "total", "gradient_norm", "learning_rate", "seconds"})
"""What a line of the log holds beside the losses."""
