"""jobs/benchmark.py as a user calls it."""

import subprocess
import sys
from pathlib import Path

import pytest

JOB = Path(__file__).parents[2] / "jobs" / "benchmark.py"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(JOB), *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("kind", ["unet", "plans", "curate"])
def test_a_kind_that_does_not_come_first_is_told_so(kind: str, tmp_path: Path) -> None:
    done = run("--storage", str(tmp_path), kind, "--files", "3")
    assert done.returncode == 2
    assert f"{kind} comes first" in done.stderr


def test_a_kind_that_comes_first_has_its_own_settings(tmp_path: Path) -> None:
    done = run("unet", "--storage", str(tmp_path), "unet_benchmark.batch_size=0")
    assert done.returncode == 2
    assert "unet_benchmark.batch_size" in done.stderr
