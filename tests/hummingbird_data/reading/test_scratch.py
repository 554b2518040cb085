"""Scratch folders go with their work; those of killed processes are swept, those in use are not."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hummingbird_data.reading.scratch import scratch_folder, sweep

KILLED = """
import os, signal
from hummingbird_data.reading.scratch import scratch_folder
with scratch_folder() as folder:
    (folder / "clip.mp4").write_bytes(b"x")
    print(folder, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_is_swept_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", KILLED],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == -signal.SIGKILL
    left = Path(done.stdout.strip())
    other = tmp_path / "other"
    other.mkdir()
    with scratch_folder() as own:
        (own / "clip.mp4").write_bytes(b"x")
        assert left.is_dir()
        assert sweep() == [left]
        assert not left.exists()
        assert own.is_dir()
    assert not own.exists()
    assert list(tmp_path.iterdir()) == [other]
