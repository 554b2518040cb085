"""A small training that several workers share; in a module of its own, so that new processes can import it."""

import os
import time
from pathlib import Path

import torch
from hummingbird.pretraining.loop import Course, train
from hummingbird.pretraining.workers import place
from safetensors.torch import save_file
from torch import Tensor, nn


def train_share(folder: Path) -> None:
    """Least squares on this worker's rows of each step; leaves ``worker-RANK.safetensors``."""
    rank, world = place()
    torch.manual_seed(rank)
    module = nn.Linear(3, 1)
    nn.init.constant_(module.weight, 0.1)
    nn.init.zeros_(module.bias)

    def losses(step: int) -> dict[str, Tensor]:
        x = torch.randn(8, 3, generator=torch.Generator().manual_seed(step))[rank::world]
        return {"error": (module(x) - x.sum(1, keepdim=True)).square().mean()}

    train(module, losses, folder, Course(20, minutes=10, lr=0.05), warmup=5, decay=0.9, bf16=False)
    save_file(module.state_dict(), folder / f"worker-{rank}.safetensors")


def fail_in_one(_: Path) -> None:
    """The second worker raises; the first would wait for it for ever."""
    rank, _world = place()
    if rank == 1:
        raise ValueError("no such luck")
    torch.distributed.barrier()


def wait_for_ever(folder: Path) -> None:
    """Leaves ``worker-RANK.pid`` and never ends."""
    rank, _world = place()
    (folder / f"worker-{rank}.pid").write_text(str(os.getpid()))
    time.sleep(3600)
