"""jobs/lake.py as a user calls it."""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
from hummingbird.config.settings import Settings
from hummingbird.lake.lake import Lake
from hummingbird.lake.runs import open_run

JOB = Path(__file__).parents[2] / "jobs" / "lake.py"


def run(storage: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(JOB), *arguments, "--storage", str(storage)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_table_as_json_lines(settings: Settings) -> None:
    row = {"clip_id": "a", "source_uri": "ä", "start_seconds": 0.0, "end_seconds": 1.0}
    dropped = {**row, "verdict": "dropped", "reasons": ["static"]}
    first = Lake.open(settings).commit_batch("one", pa.Table.from_pylist([dropped]), None)
    kept = {**row, "verdict": "kept", "reasons": pa.scalar([], pa.list_(pa.string())).as_py()}
    Lake.open(settings).commit_batch("two", pa.Table.from_pylist([kept]), None)
    with open_run(settings, "prune") as opened:
        opened.metrics["loss"] = 0.5

    (line,) = run(settings.storage, "clips").stdout.splitlines()
    assert json.loads(line)["verdict"] == "kept"
    assert json.loads(line)["source_uri"] == "ä"
    old = run(settings.storage, "clips", "--snapshot", str(first), "--where", "verdict = 'dropped'")
    assert json.loads(old.stdout)["reasons"] == ["static"]
    rows = [json.loads(line) for line in run(settings.storage, "runs").stdout.splitlines()]
    (prune,) = (row for row in rows if row["verb"] == "prune")
    assert prune["metrics"] == {"loss": 0.5}
    assert prune["started"].endswith("+00:00")


def test_wrong_calls_are_one_line(settings: Settings, tmp_path: Path) -> None:
    missing = run(tmp_path / "nowhere", "clips")
    assert (missing.returncode, missing.stdout) == (2, "")
    assert "no storage folder" in missing.stderr
    Lake.open(settings)
    for arguments in (["clip"], ["clips", "--where", "x ="], ["clips", "--snapshot", "1"]):
        done = run(settings.storage, *arguments)
        assert done.returncode == 2
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1
