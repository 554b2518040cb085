"""Two committers without a lock, killed again and again: run again they lose nothing and double nothing."""

import multiprocessing
import os
import random
import signal
import time
from datetime import UTC, datetime
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from hummingbird.config.settings import Settings
from hummingbird.lake.lake import Lake

from .conftest import broken, clip, clips

BATCHES, KILLS = 5, 20
NAMES = ("one", "two")


def commit_all(storage: Path, name: str) -> None:
    """All batches of a machine, those that are committed already too; each also claims the source ``both``."""
    lake = Lake.open(Settings(storage=storage))
    for number in range(BATCHES):
        rows = clips(clip(f"{name}-{number}", caption=name), clip("both", caption=name))
        lake.commit_batch(f"{name}-{number}", rows, broken(f"{name}-bad-{number}"))
    lake.put_run({"run_id": f"curate-{name}", "state": "finished", "started": datetime.now(UTC)})


@pytest.mark.slow
def test_killed_and_run_again_nothing_is_lost_or_doubled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hummingbird.lake.lake._lock_of", lambda properties: None)
    Lake.open(Settings(storage=tmp_path))
    fork, dice = multiprocessing.get_context("fork"), random.Random(7)
    running: dict[str, BaseProcess] = {}
    done, kills = set[str](), 0
    deadline = time.monotonic() + 240
    while len(done) < len(NAMES):
        assert time.monotonic() < deadline
        for name in NAMES:
            if name not in done and name not in running:
                running[name] = fork.Process(target=commit_all, args=(tmp_path, name))
                running[name].start()
        time.sleep(dice.uniform(0.1, 0.9))
        if kills < KILLS and running:
            victim = running[dice.choice(sorted(running))]
            if victim.is_alive() and victim.pid is not None:
                os.kill(victim.pid, signal.SIGKILL)
                victim.join()
                kills += 1
        for name, process in list(running.items()):
            if not process.is_alive():
                process.join()
                assert process.exitcode in (0, -signal.SIGKILL)
                if process.exitcode == 0 and kills >= KILLS:
                    done.add(name)
                del running[name]
    lake = Lake.open(Settings(storage=tmp_path))
    expected = ["both", *(f"{name}-{number}" for name in NAMES for number in range(BATCHES))]
    assert sorted(lake.read("clips")["source_uri"].to_pylist()) == sorted(expected)
    bad = [f"{name}-bad-{number}" for name in NAMES for number in range(BATCHES)]
    assert sorted(lake.read("quarantine")["source_uri"].to_pylist()) == sorted(bad)
    sequences = lake.read("runs", "kind = 'batch'")["sequence"].to_pylist()
    assert sorted(sequences) == list(range(1, len(sequences) + 1))
    assert sorted(lake.read("runs", "kind = 'run'")["run_id"].to_pylist()) == ["curate-one", "curate-two"]
