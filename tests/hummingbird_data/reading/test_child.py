"""A child process's failure costs one job, and says what it was."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hummingbird_data.reading.child import ChildProcess
from hummingbird_data.stage import StageError

JOBS = """
import os, signal, time
from hummingbird_data.stage import StageError

def work(what):
    if what == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if what == "spin":
        while True:
            pass
    if what == "sleep":
        time.sleep(60)
    if what == "greed":
        return len(bytearray(1 << 30))
    if what == "refuse":
        raise StageError("probe", "no video")
    print("noise on standard output")
    return {"done": what}
"""


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ChildProcess]:
    (tmp_path / "child_jobs.py").write_text(JOBS)
    monkeypatch.syspath_prepend(str(tmp_path))
    process = ChildProcess("child_jobs:work", seconds=1, megabytes=256, patience=60)
    yield process
    process.close()


def test_a_job_gives_its_result(child: ChildProcess) -> None:
    assert child.run({"what": "nothing"}) == {"done": "nothing"}


@pytest.mark.parametrize(
    ("what", "stage", "message"),
    [
        ("crash", "decode", "SIGSEGV"),
        ("spin", "decode", "processor time"),
        ("sleep", "decode", "hung"),
        ("greed", "decode", "256 MB of memory"),
        ("refuse", "probe", "no video"),
    ],
)
def test_a_failed_job_is_named_and_the_next_one_runs(
    child: ChildProcess, what: str, stage: str, message: str
) -> None:
    if what == "sleep":
        child.patience = 2
    with pytest.raises(StageError, match=message) as raised:
        child.run({"what": what})
    assert raised.value.stage == stage
    assert child.run({"what": "nothing"}) == {"done": "nothing"}


def test_a_server_that_is_killed_is_replaced(child: ChildProcess) -> None:
    child.start()
    assert child._server is not None
    child._server.kill()
    child._server.wait()
    assert child.run({"what": "nothing"}) == {"done": "nothing"}


def test_a_function_that_cannot_be_imported_is_an_error_of_the_job_and_not_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="does not start"):
        ChildProcess("no_such_module:work", 1, 256).start()


def test_the_server_ends_with_its_caller(child: ChildProcess) -> None:
    child.start()
    server = child._server
    assert server is not None
    assert server.stdin is not None
    server.stdin.close()
    until = time.monotonic() + 20
    while server.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    assert server.poll() == 0, sys.executable
