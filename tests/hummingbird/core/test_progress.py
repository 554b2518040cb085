"""Progress where there is no terminal: lines, also while nothing happens; and logs that carry the run's id."""

import json
import logging
import time
from collections.abc import Iterator

import pytest
from hummingbird.core.logs import FORMAT, configure_logs, logged_as
from hummingbird.core.progress import SECONDS, ProgressBar


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Logs as a verb sets them up, which other tests shall not see."""
    own, root = logging.getLogger("hummingbird"), logging.getLogger()
    before = own.level, list(root.handlers)
    yield monkeypatch
    own.setLevel(before[0])
    root.handlers[:] = before[1]


def test_a_line_every_few_seconds_with_counts_rate_time_left_and_losses(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(SECONDS, "0.05")
    with ProgressBar(total=8, desc="distill", unit="step") as bar:
        bar.update(2)
        bar.set_postfix(loss="0.5")
        time.sleep(0.3)
        bar.update(6)
    *lines, last = capsys.readouterr().err.splitlines()
    assert 2 <= len(lines) <= 6
    assert lines[-1].startswith("distill: 2/8 step (25 %), ")
    assert lines[-1].endswith("left, loss=0.5")
    assert "step/s" in lines[-1]
    assert last.startswith("distill: 8/8 step (100 %), ")


def test_lines_of_json_name_the_run_and_hide_secrets(
    logs: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.setenv(FORMAT, "json")
    configure_logs()
    with logged_as("distill-1"), ProgressBar(total=1, desc="distill", unit="step") as bar:
        logging.getLogger("hummingbird.lake").info("cannot reach postgresql://ada:hunter2@db")
        bar.update()
    logged, progress = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert (logged["run"], logged["level"], logged["logger"]) == ("distill-1", "INFO", "hummingbird.lake")
    assert logged["message"] == "cannot reach postgresql://ada:***@db"
    assert (progress["run"], progress["step"], progress["done"], progress["total"]) == (
        "distill-1",
        "distill",
        1,
        1,
    )


def test_lines_for_people_name_the_run(logs: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs()
    configure_logs()  # a line's verbs share a process
    with logged_as("line-1"), logged_as("prune-2"):
        logging.getLogger("hummingbird.lake").warning("less than asked for")
    assert capsys.readouterr().err.endswith("Z warning [prune-2] less than asked for\n")
