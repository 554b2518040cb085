"""Curation under SIGKILL: whatever is killed, and whenever, run again it ends with the rows of an unbroken run."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from hummingbird.config.settings import Settings
from hummingbird.lake.lake import Lake
from hummingbird.lake.orphans import orphans

FPS = 12
KILLS = 10


class Driver:
    """The process of `chaos_driver`, connected to the tests' Ray."""

    def __init__(self, address: str, log: Path) -> None:
        self._log = log.open("w")
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("chaos_driver.py"))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True,
            env={**os.environ, "RAY_ADDRESS": address},
        )  # fmt: skip

    def start(self, settings: dict[str, Any], kill_at: int | None = None) -> int:
        """Starts a run and returns the id of its process."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"settings": settings, "kill_at": kill_at}) + "\n")
        self._process.stdin.flush()
        return int(self._reply()["pid"])

    def end(self) -> tuple[int, int]:
        """Waits for the run's end: exit code (minus the signal that killed it), and the calls it made."""
        reply = self._reply()
        return reply["code"], reply["calls"]

    def run(self, settings: dict[str, Any], kill_at: int | None = None) -> tuple[int, int]:
        self.start(settings, kill_at)
        return self.end()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._log.close()

    def _reply(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the driver ended; see {self._log.name}")
        return json.loads(line)


@pytest.fixture(scope="module")
def new_driver(ray_cluster: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Driver]]:
    import ray

    made: list[Driver] = []

    def new() -> Driver:
        address = ray.get_runtime_context().gcs_address
        made.append(Driver(address, tmp_path_factory.mktemp("driver") / "log.txt"))
        return made[-1]

    yield new
    for driver in made:
        driver.close()


@pytest.fixture(scope="module")
def driver(new_driver: Callable[[], Driver]) -> Driver:
    return new_driver()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory, write_video: Callable, shot: Callable) -> Path:
    folder = tmp_path_factory.mktemp("raw")
    small = {"fps": FPS, "size": (64, 48)}
    write_video(folder / "a.mp4", np.concatenate([shot(n, seconds=2.1, **small) for n in (1, 2)]), FPS)
    write_video(folder / "b.mp4", shot(3, seconds=2.1, **small), FPS)
    (folder / "c.mp4").write_bytes((folder / "b.mp4").read_bytes())
    (folder / "d.mp4").write_bytes((folder / "a.mp4").read_bytes()[:3000])
    write_video(folder / "e.mp4", shot(4, seconds=1, **small), FPS)
    return folder


@pytest.fixture
def settings(captioner: Path, source: Path) -> Callable[..., dict[str, Any]]:
    def of(storage: Path, **changes: Any) -> dict[str, Any]:
        curating = {"source": str(source), "technical": "weightless", "min_weightless": 0.0, "batch_files": 1}
        models = {"captioner": str(captioner)}
        return {"storage": str(storage), "models": models, "curate": {**curating, **changes}}

    return of


def rows(storage: Path) -> list[list[dict[str, Any]]]:
    """All rows that a reader sees. No key stands there twice, and every clip's file is there."""
    lake = Lake.open(Settings(storage=storage))
    clips = lake.read("clips").sort_by("clip_id").to_pylist()
    quarantine = lake.read("quarantine").sort_by("source_uri").to_pylist()
    assert len({row["clip_id"] for row in clips}) == len(clips)
    assert all((storage / row["media_path"]).is_file() for row in clips)
    assert not {row["source_uri"] for row in clips} & {row["source_uri"] for row in quarantine}
    return [clips, quarantine]


def check_media(storage: Path) -> None:
    """Every file is named by a row, or reported."""
    lake = Lake.open(Settings(storage=storage))
    there = {p.relative_to(storage).as_posix() for p in (storage / "media").rglob("*") if p.is_file()}
    named = {path for paths in lake.media_paths() for path in paths}
    assert there - named == {orphan.media_path for orphan in orphans(lake)}


@pytest.fixture(scope="module")
def whole(
    driver: Driver, tmp_path_factory: pytest.TempPathFactory, captioner: Path, source: Path
) -> tuple[list[list[dict[str, Any]]], int]:
    """The rows of an unbroken run, and the calls that it took."""
    storage = tmp_path_factory.mktemp("whole")
    curating = {"source": str(source), "technical": "weightless", "min_weightless": 0.0, "batch_files": 1}
    code, calls = driver.run(
        {"storage": str(storage), "models": {"captioner": str(captioner)}, "curate": curating}, None
    )
    assert code == 0
    found = rows(storage)
    assert sorted(
        (Path(row["source_uri"]).name, row["verdict"], *row["reasons"]) for row in found[0]
    ) == [
        ("a.mp4", "kept"), ("a.mp4", "kept"), ("b.mp4", "kept"), ("c.mp4", "dropped", "duplicate"),
        ("e.mp4", "dropped", "too_short"),
    ]  # fmt: skip
    assert [Path(row["source_uri"]).name for row in found[1]] == ["d.mp4"]
    return found, calls


@pytest.mark.slow
def test_a_driver_killed_anywhere_ten_times(
    driver: Driver, whole: tuple[list, int], settings: Callable, tmp_path: Path
) -> None:
    expected, calls = whole
    draw = np.random.default_rng(11)
    kills = storages = 0
    while kills < KILLS:
        storage = tmp_path / f"s{storages}"
        storages += 1
        code = -signal.SIGKILL
        while code:
            # Anywhere in the calls of an unbroken run; what is left to do takes fewer, so that a run comes to its end.
            code, _ = driver.run(settings(storage), int(draw.integers(calls // 20, calls)))
            assert code in (0, -signal.SIGKILL)
            kills += code != 0
        assert rows(storage) == expected
        check_media(storage)


@pytest.mark.slow
def test_worker_processes_killed_ten_times(
    driver: Driver, whole: tuple[list, int], settings: Callable, tmp_path: Path
) -> None:
    expected, _ = whole
    draw = np.random.default_rng(12)
    killed: list[str] = []
    storages = 0
    while len(killed) < KILLS:
        storage = tmp_path / f"s{storages}"
        storages += 1
        code = 1
        while code:
            driver.start(settings(storage))
            over = threading.Event()
            killer = threading.Thread(target=kill_workers, args=(draw, killed, over))
            killer.start()
            code, _ = driver.end()
            over.set()
            killer.join()
        assert rows(storage) == expected
        check_media(storage)


def kill_workers(draw: np.random.Generator, killed: list[str], over: threading.Event) -> None:
    """Kills processes of Ray while they work for Ray Data, at most three a run: Ray tries a task four times."""
    for _ in range(3):
        wait = time.monotonic() + draw.uniform(0.0, 2.0)
        while not over.is_set() and len(killed) < KILLS:
            working = [p for p in psutil.Process().children(recursive=True) if "Map(" in title(p)]
            if working and time.monotonic() > wait:
                victim = working[draw.integers(len(working))]
                killed.append(title(victim))
                victim.kill()
                break
            time.sleep(0.02)


def title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


@pytest.mark.slow
def test_two_runs_at_once_on_one_table_lose_no_commit(
    driver: Driver,
    new_driver: Callable[[], Driver],
    whole: tuple[list, int],
    source: Path,
    settings: Callable,
    tmp_path: Path,
) -> None:
    expected, _ = whole
    pairs = [(driver, "[a-b]*"), (new_driver(), "[c-e]*")]
    for one, pattern in pairs:
        one.start(settings(tmp_path, source=f"{source}/{pattern}"))
    assert [one.end()[0] for one, _ in pairs] == [0, 0]
    names = [[row["source_uri"] for row in table] for table in rows(tmp_path)]
    assert names == [[row["source_uri"] for row in table] for table in expected]
    ledger = Lake.open(Settings(storage=tmp_path)).read("runs", "kind = 'batch'", columns=["sequence"])
    assert sorted(ledger["sequence"].to_pylist()) == [1, 2, 3, 4, 5]
