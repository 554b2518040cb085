"""The bar that follows a run's log."""

import json
from pathlib import Path

import pytest
from hummingbird.training.progress import last_line, training_bar


def write(log: Path, *steps: int) -> None:
    log.write_text("".join(json.dumps({"step": step, "total": step / 10}) + "\n" for step in steps))


def test_the_last_whole_line_is_found_past_a_half_written_one(tmp_path: Path) -> None:
    log = tmp_path / "losses.jsonl"
    assert last_line(log) is None
    write(log, *range(1, 2000))
    with log.open("a") as file:
        file.write('{"step": 2000, "tot')
    found = last_line(log)
    assert found is not None
    assert found["step"] == 1999


def test_the_bar_ends_where_the_log_ends(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "losses.jsonl"
    write(log, 1, 2)
    with training_bar("distill", 8, log):
        write(log, 1, 2, 3, 4, 5)
    bar = capsys.readouterr().err.split("\r")[-1]
    assert "distill" in bar
    assert "5/8" in bar
    assert "loss=0.5000" in bar
