"""Several processes that train one model: each on samples of its own, with the mean of their gradients."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.multiprocessing.spawn import spawn


def run_workers(work: Callable[..., None], workers: int, *args: Any) -> None:
    """Call ``work(*args)`` in so many new processes, which share this one's threads.

    Args:
        work: a function of a module, and its arguments, all of which can be pickled.

    Raises:
        torch.multiprocessing.ProcessRaisedException: one of them failed; the others are ended.
    """
    threads = max(1, torch.get_num_threads() // workers)
    with tempfile.TemporaryDirectory() as folder:
        started = spawn(_worker, (work, args, workers, threads, folder), nprocs=workers, join=False)
        try:
            while not started.join():
                pass
        finally:  # interrupted: else this process would wait for them when it ends, and they would train on
            for process in started.processes:
                process.terminate()
                process.join()


def _worker(
    rank: int, work: Callable[..., None], args: tuple[Any, ...], workers: int, threads: int, folder: str
) -> None:
    torch.set_num_threads(threads)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"  # all on this machine: nothing listens beyond it
    dist.init_process_group("gloo", init_method=f"file://{Path(folder)}/meet", rank=rank, world_size=workers)
    try:
        work(*args)
    finally:
        dist.destroy_process_group()


def place() -> tuple[int, int]:
    """This process's number and how many there are: (0, 1) outside `run_workers`."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def average_gradients(module: nn.Module) -> None:
    """Give every process the mean of all processes' gradients."""
    if place()[1] == 1:
        return
    gradients = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    flat /= place()[1]
    for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))


def agree(value: float) -> float:
    """The first process's value: clocks differ, and all must stop at the same step."""
    if place()[1] == 1:
        return value
    told = torch.tensor([value], dtype=torch.float64)
    dist.broadcast(told, 0)
    return told.item()
