"""The line on a cluster whose storage is a bucket: verb by verb, then as one job that is killed and goes on."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import psutil
import pytest
from hummingbird.config.loading import load_settings
from hummingbird.core.files import as_path
from hummingbird.core.remote_path import RemotePath
from hummingbird.core.scratch import upload
from hummingbird.lake.lake import Lake
from hummingbird.lake.runs import load_result
from ray_head import ray_head
from servers import free_port, object_storage

pytestmark = pytest.mark.slow

JOBS = Path(__file__).parents[2] / "jobs"
SOURCE = "s3://videos/raw"
TINY = (
    "curate.min_seconds=1", f"curate.source={SOURCE}", "training.workers=1",
    "distill.steps=2", "distill.batch_size=1", "feedback.steps=2", "feedback.batch_size=1",
    "training.checkpoint_every=1", "evaluate.prompts=2", "evaluate.num_inference_steps=2", "evaluate.resamples=100",
    "evaluate.timed_videos=1",
)  # fmt: skip


@dataclass
class Cluster:
    """A head, a bucket, and the rows that a local curation of the same footage ended with."""

    environment: dict[str, str]
    catalog: str
    local: dict[str, list[str]]
    jobs: Path
    """Where servers keep their jobs: pyarrow's S3 has no writes that fail where something is."""

    def words(self, verb: str, storage: str) -> list[str]:
        """Of a submission."""
        command = [sys.executable, str(JOBS / "submit.py"), "--python", sys.executable]
        return [*command, verb, "--recipe", "shapes-ci", *self.places(storage), *TINY]

    def places(self, storage: str) -> list[str]:
        """A storage, and of the catalog that all share a namespace of its own."""
        return [f"storage={storage}", self.catalog, f"catalog.namespace={storage.rpartition('/')[2]}"]

    def submit(self, verb: str, storage: str, *words: str) -> dict[str, Any]:
        """The result of a verb that a job has run to its end."""
        done = subprocess.run(
            [*self.words(verb, storage), *words],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
        result = as_path(done.stdout.splitlines()[-1])
        assert isinstance(result, RemotePath)
        return load_result(result)

    def lake(self, storage: str) -> Lake:
        return Lake.open(load_settings(None, self.places(storage)))


def visible(lake: Lake) -> dict[str, list[str]]:
    """What readers see of clips and quarantine."""
    return {name: sorted(map(str, lake.read(name).to_pylist())) for name in ("clips", "quarantine")}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    for name in ("server", "local"):
        (folder / name).mkdir()
    draw = [sys.executable, str(JOBS / "footage.py"), f"--storage={folder / 'drawn'}", "footage.files=12"]
    drawn = subprocess.run(draw, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
    footage = Path(load_result(Path(drawn))["outputs"]["footage"])
    for path in sorted(footage.iterdir())[5:]:
        path.unlink()
    patch = pytest.MonkeyPatch()
    with object_storage(folder / "server") as (environment, uri):
        for name, value in environment.items():
            patch.setenv(name, value)
        upload(footage, RemotePath(SOURCE))
        local = [
            sys.executable,
            str(JOBS / "curate.py"),
            "--recipe",
            "shapes-ci",
            f"--storage={folder / 'local'}",
        ]
        done = subprocess.run([*local, *TINY], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        rows = visible(Lake.open(load_settings(None, [f"storage={folder / 'local'}"])))
        assert rows["clips"]
        patch.setenv("HUMMINGBIRD_SCRATCH", str(folder / "scratch"))
        with ray_head() as clients:
            properties = json.dumps({"type": "rest", "uri": uri, "warehouse": "s3://lake"})
            yield Cluster(
                {**os.environ, **clients}, f"catalog.properties={properties}", rows, folder / "jobs"
            )
    patch.undo()


def test_every_verb_as_a_job_with_all_that_it_leaves_in_a_bucket(cluster: Cluster) -> None:
    storage = "s3://runs/verbs"
    curated = cluster.submit("curate", storage)
    lake = cluster.lake(storage)
    assert visible(lake) == cluster.local
    snapshot = curated["outputs"]["snapshot_id"]
    cache = cluster.submit("encode", storage, f"--snapshot={snapshot}")["outputs"]["cache"]
    pruned = cluster.submit("prune", storage)["outputs"]["pipeline"]
    student = cluster.submit("distill", storage, f"--cache={cache}", f"--student={pruned}")["outputs"][
        "pipeline"
    ]
    feedback = cluster.submit("feedback", storage, f"--cache={cache}", f"--student={student}")["outputs"]
    few_step = feedback["pipeline"]
    evaluated = cluster.submit("evaluate", storage, f"--student={few_step}")
    assert all(str(place).startswith(storage) for place in (cache, pruned, student, few_step))
    assert evaluated["metrics"]["prompts"] == 2
    line = lake.lineage(feedback["model_id"])
    assert [entry["model"]["kind"] for entry in line][:3] == ["feedback", "distilled", "pruned"]
    assert line[0]["snapshot_id"] == snapshot
    _serve(cluster, storage, few_step)


def _serve(cluster: Cluster, storage: str, model: str) -> None:
    """The student behind a page on the cluster makes a video that lies in the bucket."""
    port = free_port()
    words = [f"--model={model}", f"--port={port}", "serve.teacher=false", f"serve.jobs={cluster.jobs}"]
    command = [*cluster.words("serve", storage), *words]
    with subprocess.Popen(command, env=cluster.environment, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        try:
            lines = []
            for line in client.stdout:
                lines.append(line)
                if "Hummingbird is up" in line:
                    break
            else:
                raise AssertionError("".join(lines)[-6000:])
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}/v1/videos/sync",
                json.dumps({"prompt": "a red circle", "seed": 0}).encode(),
                {"Content-Type": "application/json"},
            )
            with urllib.request.urlopen(request, timeout=120) as answer:
                video = answer.read()
        finally:
            client.send_signal(2)
            client.wait(60)
    (kept,) = [path for path, _ in RemotePath(f"{storage}/serve").files() if path.name.endswith(".mp4")]
    assert kept.read_bytes() == video
    with av.open(kept.open("rb")) as opened:
        assert sum(1 for _ in opened.decode(video=0)) > 1


def test_a_line_whose_driver_was_killed_goes_on_at_the_verb_that_was_broken(cluster: Cluster) -> None:
    storage = "s3://runs/line"
    verbs = "line.verbs=[curate, encode, prune]"
    with subprocess.Popen(
        [*cluster.words("line", storage), verbs], env=cluster.environment, stdout=subprocess.PIPE, text=True
    ) as client:
        assert client.stdout is not None
        for line in client.stdout:
            if line.startswith("[2/3] encode"):
                _driver(storage).kill()
                break
        client.stdout.read()
        assert client.wait(120) != 0
    lake = cluster.lake(storage)
    (curated,) = lake.read("runs", "kind = 'run' and verb = 'curate'").to_pylist()
    assert curated["state"] == "finished"
    result = cluster.submit("line", storage, verbs)
    runs = {row["verb"]: row for row in lake.read("runs", "kind = 'run'").to_pylist()}
    assert {row["state"] for row in runs.values()} == {"finished"}
    assert runs["curate"]["run_id"] == curated["run_id"]
    assert json.loads(runs["curate"]["metrics"])["batches"] == 0, "what was done is not done again"
    assert set(result["outputs"]["results"]) == {"curate", "encode", "prune"}
    assert visible(lake) == cluster.local


def _driver(storage: str) -> psutil.Process:
    """The process on the cluster that runs the line."""
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "hummingbird_jobs.verbs" in words and f"storage={storage}" in words and "sh" not in words[0]:
            return process
    raise AssertionError("no driver runs")
