"""Runs: folders that come back, states, result.json."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hummingbird.config.loading import load_settings
from hummingbird.config.settings import Settings, settings_hash
from hummingbird.core.errors import InputError
from hummingbird.lake.lake import Lake
from hummingbird.lake.runs import code_version, open_run


def test_a_finished_run_writes_its_result_and_its_row(settings: Settings) -> None:
    with open_run(settings, "prune", inputs={"teacher": "x"}, snapshot_id=None) as run:
        assert run.previous is None
        run.outputs["student"] = run.folder / "student"
        run.metrics["loss"] = np.float32(0.5)
        run.metrics["bad"] = float("nan")
        run.snapshot_id = 5
    result = json.loads(run.result_path.read_text())
    assert set(result) >= {
        "schema_version",
        "verb",
        "run_id",
        "started",
        "finished",
        "seconds",
        "code_version",
    }
    assert (result["state"], result["input_snapshot"], result["verb"]) == ("finished", 5, "prune")
    assert result["metrics"] == {"loss": 0.5, "bad": None}
    assert result["settings_hash"] == settings_hash(settings)
    assert result["outputs"] == {"student": str(run.folder / "student")}
    (row,) = Lake.open(settings).read("runs").to_pylist()
    assert (row["run_id"], row["state"], row["input_snapshot"]) == (run.run_id, "finished", 5)
    assert json.loads(row["settings"])["schema_version"] == 2


def test_the_same_call_comes_back_to_its_folder(settings: Settings) -> None:
    def folder(settings: Settings, **inputs: object) -> Path:
        with open_run(settings, "prune", ("prune",), inputs) as run:
            return run.folder

    first = folder(settings, teacher="x")
    assert first.parent == settings.storage / "prune"
    assert folder(settings, teacher="x") == first
    assert folder(load_settings(None, [f"storage={settings.storage}", "serve.port=9"]), teacher="x") == first
    assert folder(settings, teacher="y") != first
    assert folder(load_settings(None, [f"storage={settings.storage}", "seed=9"]), teacher="x") != first
    with open_run(settings, "prune", ("prune",), {"teacher": "x"}) as run:
        assert run.previous is not None
        assert run.previous["state"] == "finished"
    states = Lake.open(settings).read("runs")["state"].to_pylist()
    assert states == ["finished"] * 3


@pytest.mark.parametrize(
    ("error", "state", "message"),
    [(KeyboardInterrupt(), "interrupted", None), (OSError("disk full"), "failed", "OSError: disk full")],
)
def test_a_broken_run_says_so(
    settings: Settings, error: BaseException, state: str, message: str | None
) -> None:
    with pytest.raises(type(error)), open_run(settings, "prune") as run:
        raise error
    result = json.loads(run.result_path.read_text())
    assert (result["state"], result["error"]) == (state, message)
    (row,) = Lake.open(settings).read("runs").to_pylist()
    assert (row["state"], row["error"]) == (state, message)
    with open_run(settings, "prune") as again:
        assert again.previous is None
        assert Lake.open(settings).read("runs")["state"].to_pylist() == ["running"]


def test_the_same_run_does_not_run_twice_at_once(settings: Settings) -> None:
    with (
        open_run(settings, "prune"),
        pytest.raises(InputError, match="running in another process"),
        open_run(settings, "prune"),
    ):
        pass


def test_the_code_version_names_the_commit() -> None:
    version, _, commit = code_version().partition("+")
    assert version
    assert commit


def test_secrets_are_stored_masked(tmp_path: Path) -> None:
    settings = load_settings(None, [f"storage={tmp_path}", "curate.filters={mine:Score: {api_key: hunter2}}"])

    def fail() -> None:
        with open_run(settings, "prune"):
            raise OSError("cannot reach postgresql://ada:hunter2@db/lake")

    with pytest.raises(OSError, match="hunter2"):
        fail()
    (row,) = Lake.open(settings).read("runs").to_pylist()
    assert "***" in row["settings"]
    assert row["error"] == "OSError: cannot reach postgresql://ada:***@db/lake"
    everything = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(b"hunter2" in content for content in everything)


def test_a_polite_kill_is_recorded_before_the_work_has_ended(tmp_path: Path) -> None:
    script = """
import sys, time
from hummingbird.config.loading import load_settings
from hummingbird.core.interruption import interrupt_on_termination
from hummingbird.lake.runs import open_run
interrupt_on_termination()
with open_run(load_settings(None, [f"storage={sys.argv[1]}"]), "prune") as run:
    print("begun", flush=True)
    try:
        time.sleep(600)
    finally:
        time.sleep(600)  # workers that take their time to end
"""
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"begun\n"
        child.terminate()
        (folder,) = (tmp_path / "prune").iterdir()
        deadline = time.monotonic() + 60
        while not (folder / "result.json").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert json.loads((folder / "result.json").read_text())["state"] == "interrupted"
        assert child.poll() is None
        child.kill()
    lake = Lake.open(load_settings(None, [f"storage={tmp_path}"]))
    assert lake.read("runs")["state"].to_pylist() == ["interrupted"]
