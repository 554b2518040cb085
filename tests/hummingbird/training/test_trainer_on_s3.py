"""A training whose storage is a bucket: killed, it goes on from its checkpoint on another machine."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hummingbird.config.loading import load_settings
from hummingbird.core.files import as_path
from hummingbird.core.remote_path import RemotePath
from hummingbird.core.scratch import upload
from hummingbird.lake.lake import Lake
from servers import object_storage


@pytest.mark.slow
def test_a_training_goes_on_from_the_bucket_on_another_machine(
    tiny_teacher: Path, write_cache: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "server").mkdir()
    with object_storage(tmp_path / "server") as (environment, uri):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        properties = json.dumps({"type": "rest", "uri": uri, "warehouse": "s3://lake"})
        places = ["storage=s3://runs/x", f"catalog.properties={properties}"]
        cache = write_cache(tmp_path / "cache", pipeline=tiny_teacher)
        about = json.loads((cache / "cache.json").read_text())
        snapshot = Lake.open(load_settings(None, places)).snapshot()
        (cache / "cache.json").write_text(json.dumps({**about, "snapshot_id": snapshot}))
        upload(cache, RemotePath("s3://runs/cache"))
        command = [sys.executable, "jobs/distill.py", *places, "training.cache=s3://runs/cache"]
        command += ["--teacher", str(tiny_teacher), "--student", str(tiny_teacher), "ray.num_cpus=1"]
        command += [
            "distill.steps=30",
            "distill.batch_size=1",
            "training.checkpoint_every=5",
            "training.workers=1",
        ]

        def run(machine: str) -> subprocess.Popen[str]:
            scratch = {"HUMMINGBIRD_SCRATCH": str(tmp_path / machine)}
            return subprocess.Popen(command, env=os.environ | scratch, stdout=subprocess.PIPE, text=True)

        with run("one") as first:
            deadline = time.monotonic() + 600
            while saved() < 5 and first.poll() is None and time.monotonic() < deadline:
                time.sleep(0.2)
            first.kill()
        kept = saved()
        assert 5 <= kept < 30
        with run("two") as second:
            output, _ = second.communicate(timeout=600)
        assert second.returncode == 0
        result = json.loads(as_path(output.splitlines()[-1]).read_text())
        place = as_path(result["outputs"]["pipeline"])
        assert isinstance(place, RemotePath)
        assert (place / "unet" / "config.json").is_file()
        lines = as_path(result["outputs"]["losses"]).read_text().splitlines()
        assert [json.loads(line)["step"] for line in lines] == list(range(1, 31))
        left = [str(path) for path, _ in (place.parent / "ray").files()]
        assert not left, "checkpoints go when the run has ended"


def saved() -> int:
    """The step of the last checkpoint that Ray Train has noted in the bucket."""
    names = [path.parts for path, _ in RemotePath("s3://runs/x/distill").files()]
    steps = [int(part.removeprefix("step_")) for parts in names for part in parts if part.startswith("step_")]
    return max(steps, default=0)
