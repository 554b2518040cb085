"""Workers of a training as plain processes over gloo: what Ray Train starts, without its minute."""

import os
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from hummingbird.training.checkpoint import save_state
from hummingbird.training.data import Worker
from hummingbird.training.engine import Pace
from hummingbird.training.loop import TrainingJob, run_loop
from hummingbird.training.methods.base import STUDENT
from hummingbird.training.sharded import sharded_state
from hummingbird.training.trainer import save_trained
from ray import cloudpickle


def train_in_workers(job: TrainingJob, workers: int) -> list[int]:
    """Trains a job on so many processes, from its last checkpoint; returns their exit codes.

    Once one has ended badly, the others are ended.
    """
    job.folder.mkdir(parents=True, exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (job.folder / "job.pickle").write_bytes(cloudpickle.dumps(job))
    common = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(workers)}
    common["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, str(job.folder / "job.pickle")],
            env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=(job.folder / f"output-{rank}").open("w"),
            stderr=subprocess.STDOUT,
        )
        for rank in range(workers)
    ]
    codes = []
    for process in processes:
        if any(codes):
            process.kill()
        codes.append(process.wait())
    return codes


def last_checkpoint(job: TrainingJob) -> Path | None:
    """The last whole one."""
    return max(job.folder.glob("step_*"), default=None)


def _work(job: TrainingJob) -> None:
    torch.set_num_threads(1)
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    dist.init_process_group("gloo", timeout=timedelta(seconds=60))
    worker = Worker(rank, world, torch.device("cpu"))
    pace = Pace(job.steps, job.training.warmup_steps, job.minutes)
    state = sharded_state(job, worker, pace, last_checkpoint(job), rank == 0)

    def save(step: int) -> None:
        save_state(job.folder / "new", state, rank, world)
        dist.barrier()
        if rank == 0:
            (job.folder / "new").rename(job.folder / f"step_{step:08d}")
        dist.barrier()

    run_loop(job, state, worker, pace, save)
    if rank == 0:
        save_trained(state.averages[STUDENT].module, job.folder)


if __name__ == "__main__":
    _work(cloudpickle.loads(Path(sys.argv[1]).read_bytes()))
