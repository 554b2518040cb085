"""A node of the service that goes: what it works on is finished, and its replica is elsewhere."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hummingbird_serve import drain

DRIVER = Path(__file__).parents[1] / "support" / "drain_driver.py"


def test_it_waits_for_replicas_and_says_when_they_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr(drain.subprocess, "run", lambda command, check: commands.append(command))
    left: Any = iter([["one"], ["one"], []])
    monkeypatch.setattr(drain, "replicas_on", lambda node: next(left))
    monkeypatch.setattr(drain, "_WAIT", 0.0)
    assert drain.drain("node", 60)
    assert commands[0][commands[0].index("--node-id") + 1] == "node"
    assert commands[0][-1] == "60"
    monkeypatch.setattr(drain, "replicas_on", lambda node: ["one"])
    assert not drain.drain("node", 0)


@pytest.mark.slow
def test_a_request_in_work_is_answered_and_the_replica_moves(tmp_path: Path) -> None:
    found = tmp_path / "found.json"
    done = subprocess.run(
        [sys.executable, str(DRIVER), str(found)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(found.read_text()) == {
        "moved": True,
        "answered_here": True,
        "now": 1,
    }
