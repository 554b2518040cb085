"""Workers that share a training learn what one worker with all the samples learns."""

import os
import signal
import threading
import time
from pathlib import Path

import psutil
import pytest
import torch
from hummingbird.pretraining.workers import run_workers
from safetensors.torch import load_file
from shared_training import fail_in_one, train_share, wait_for_ever
from torch.multiprocessing.spawn import ProcessRaisedException


def test_two_workers_learn_what_one_with_all_the_samples_does(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    train_share(one)
    run_workers(train_share, 2, two)
    expected = load_file(one / "worker-0.safetensors")
    for rank in range(2):
        torch.testing.assert_close(load_file(two / f"worker-{rank}.safetensors"), expected)
    assert len((two / "log.jsonl").read_text().splitlines()) == len(
        (one / "log.jsonl").read_text().splitlines()
    )


def test_a_worker_that_fails_ends_the_others(tmp_path: Path) -> None:
    with pytest.raises(ProcessRaisedException):  # whose, depends on who is seen first
        run_workers(fail_in_one, 2, tmp_path)


@pytest.mark.usefixtures("interruptible")
def test_when_interrupted_no_worker_trains_on(tmp_path: Path) -> None:
    def interrupt() -> None:
        while len([path for path in tmp_path.glob("*.pid") if path.read_text()]) < 2:
            time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        run_workers(wait_for_ever, 2, tmp_path)
    assert not any(psutil.pid_exists(int(path.read_text())) for path in tmp_path.glob("*.pid"))
