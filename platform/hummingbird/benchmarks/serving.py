"""The benchmark of serving: the start, load on one replica and more, and the same package called without a server."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

import httpx

from hummingbird.benchmarks.serving_load import busy_cores, load, offline_share, spread
from hummingbird.config.settings import Settings
from hummingbird.core.devices import describe_device
from hummingbird.core.errors import InputError
from hummingbird.core.scratch import work_folder
from hummingbird.lake.runs import open_run

_LOOK_SECONDS = 0.1
_REPEATS = 5
"""Passes of each batch size that are timed offline."""

_SERVE = """
import sys
from hummingbird.config.settings import Settings
from hummingbird.core.interruption import interrupt_on_termination
from hummingbird_serve.app import serve_until_interrupted
interrupt_on_termination()
serve_until_interrupted(Settings.model_validate_json(sys.stdin.read()))
"""

# The generator's own code without server and queue: prompts to mp4 files, a pass at a time.
_OFFLINE = """
import json, os, sys, time
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
from pathlib import Path
from hummingbird.config.settings import Settings
from hummingbird_serve.models import offered_models
settings, repeats = Settings.model_validate_json(sys.stdin.read()), int(sys.argv[1])
models, _ = offered_models(settings)
card, generator = next(iter(models.values()))
import torch
from hummingbird_serve.requests import VideoRequest
from hummingbird_serve.sampler import Sampler
torch.set_num_threads(generator.threads or len(os.sched_getaffinity(0)))
sampler = Sampler(generator.model)
def run(size, start):
    requests = [
        VideoRequest(card.name, prompt, start + n, card.steps, card.guidance, card.num_frames, card.fps, card.size,
                     card.seconds, quality=next(iter(card.qualities), None))
        for n, prompt in zip(range(size), settings.serve.examples * size)
    ]
    started = time.perf_counter()
    sampler.files(sampler.latents(requests, lambda done: None), requests[0])
    return time.perf_counter() - started
sizes = range(1, generator.max_batch_size + 1)
for size in sizes:
    run(size, 0)
seconds = {size: [] for size in sizes}
for number in range(repeats):
    for size in sizes:
        seconds[size].append(run(size, number))
print(json.dumps({"model": card.name, "version": card.version, "seconds": seconds}))
"""


def serve_benchmark(settings: Settings) -> Path:
    """Times a server on loopback; returns the path of ``result.json``.

    Without a package in ``serve.model`` the student is compiled first, behind a server that answers meanwhile.

    Metrics: ``cold`` (seconds from the start to ``ready``, to the ``first_video`` and until the package is there; only
    where there was none) and ``start`` (the same with the package); ``loads``, by replicas (``1 replica``, and
    ``busy`` beside another process), of each number of clients `serving_load.load`'s figures with ``of_offline``, the
    share of the rate that the same passes have offline; ``offline``, by batch size, seconds a pass before and after
    the loads; ``device``, ``versions``.

    Raises:
        InputError: ``serve.host`` is not loopback.
        RuntimeError: the server did not start, or a video was not made.
    """
    s = settings.serve_benchmark
    if settings.serve.host not in ("127.0.0.1", "localhost"):
        raise InputError("the benchmark serves on loopback alone: leave serve.host as it is")
    with open_run(settings, "serve_benchmark", inputs={"device": describe_device()}) as run:
        if not isinstance(run.folder, Path):
            raise InputError("the benchmark's storage must be a folder of this machine")
        metrics = run.metrics
        metrics.update(
            device=describe_device(), versions={name: version(name) for name in ("torch", "ray", "fastapi")}
        )
        base = _settings(settings, run.folder / "storage")
        if settings.serve.model is None or not (Path(settings.serve.model) / "manifest.json").is_file():
            with _server(base, s.start_seconds) as server:
                metrics["cold"] = server.start(compiled=True)
            (named,) = (run.folder / "storage" / "serve" / "packages").glob("*.json")
            package = json.loads(named.read_text(encoding="utf-8"))["package"]
            base = _settings(settings, run.folder / "storage", model=package)
        before = _offline(base)
        loads: dict[str, list[dict[str, Any]]] = {}
        for replicas in s.replicas:
            own = _settings(base, run.folder / "storage", min_replicas=replicas, max_replicas=replicas)
            with _server(own, s.start_seconds) as server:
                started = server.start(compiled=True)
                metrics.setdefault("start", started)
                name = f"{replicas} replica{'s' if replicas > 1 else ''}"
                loads[name] = [server.load(settings, clients) for clients in s.clients]
                if s.busy:
                    with busy_cores(len(os.sched_getaffinity(0))):
                        loads[f"{name}, busy"] = [server.load(settings, s.clients[-1])]
        after = _offline(base)
        passes = {size: before["seconds"][size] + after["seconds"][size] for size in before["seconds"]}
        offline = {int(size): spread(seconds) for size, seconds in passes.items()}
        medians = {size: figures["median"] for size, figures in offline.items()}
        for name, measured in loads.items():
            for one in measured:
                one["of_offline"] = offline_share(one, medians, int(name.partition(" ")[0]))
        metrics.update(model=before["model"], version=before["version"], offline=offline, loads=loads)
        print(table(metrics))
    return run.result_path


def table(metrics: dict[str, Any]) -> str:
    """The figures as a table in Markdown, with what they were measured on."""
    lines = [
        f"{metrics['model']}, {metrics['device']}",
        *(
            f"{name}: ready in {start['ready']:.1f} s, first video after {start['first_video']:.1f} s, "
            f"package in use after {start['compiled']:.1f} s"
            for name, start in metrics.items()
            if name in ("cold", "start")
        ),
        "",
        "| replicas | clients | videos/s | of offline | POST to file, median / p95 | models p95 | health p95 |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, measured in metrics["loads"].items():
        for one in measured:
            models, health = (probe["p95"] * 1000 for probe in one["probes"].values())
            lines.append(
                f"| {name} | {one['clients']} | {one['videos_per_second']:.2f} | {one['of_offline']:.2f} | "
                f"{one['wait']['median']:.2f} / {one['wait']['p95']:.2f} s | {models:.0f} ms | {health:.0f} ms |"
            )
    return "\n".join(lines)


class _TimedServer:
    """A server in a process of its own, with its own Ray."""

    def __init__(self, settings: Settings, seconds: float, log: IO[str]) -> None:
        self._settings, self._seconds, self._log = settings, seconds, log.name
        self.url = f"http://127.0.0.1:{settings.serve.port}"
        self._started = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, "-c", _SERVE],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=log,
            text=True,
            env=_environment(),
        )
        assert self.process.stdin is not None
        self.process.stdin.write(settings.model_dump_json())
        self.process.stdin.close()

    def start(self, compiled: bool) -> dict[str, float]:
        """Waits until it makes videos; seconds since its process was started."""
        with httpx.Client(base_url=self.url, timeout=60) as client:
            self._until(lambda: client.get("/ready").status_code == 200)
            ready = self._passed()
            body = {"prompt": self._settings.serve.examples[0], "seed": 0}
            answer = client.post("/v1/videos/sync", json=body, timeout=self._seconds)
            if answer.status_code != 200:
                raise RuntimeError(f"no first video: {answer.text[:300]}")
            first = self._passed()
            if compiled:
                self._until(lambda: bool(client.get("/v1/models").json()["data"][0]["compiled"]))
        return {"ready": ready, "first_video": first, "compiled": self._passed()}

    def load(self, settings: Settings, clients: int) -> dict[str, Any]:
        """One load; a line is printed."""
        s = settings.serve_benchmark
        videos = max(1, s.videos // 4) if clients == 1 else max(s.videos, clients)
        measured = load(self.url, clients, videos, settings.serve.examples, s.video_seconds)
        print(f"{clients} clients: {measured['videos_per_second']:.2f} videos/s", flush=True)
        return measured

    def _until(self, holds: Any) -> None:
        while True:
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended with {self.process.returncode}: {self._log} says why")
            if self._passed() > self._seconds:
                raise RuntimeError(f"the server was not ready after {self._seconds:.0f} s: see {self._log}")
            try:
                if holds():
                    return
            except httpx.TransportError:
                pass  # it does not listen yet
            time.sleep(_LOOK_SECONDS)

    def _passed(self) -> float:
        return time.perf_counter() - self._started


@contextmanager
def _server(settings: Settings, seconds: float) -> Iterator[_TimedServer]:
    folder = work_folder(settings.storage)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "server.log").open("a", encoding="utf-8") as log:
        server = _TimedServer(settings, seconds, log)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.process.send_signal(signal.SIGTERM)
            try:
                server.process.wait(60)
            except subprocess.TimeoutExpired:
                server.process.kill()
                server.process.wait()


def _settings(settings: Settings, storage: Path, **serve: Any) -> Settings:
    """A server at a free port of loopback that takes all the load, with a Ray and a storage of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    most = max(settings.serve_benchmark.clients)
    bounds = {"max_queued": max(settings.serve.max_queued, 2 * most), "max_client_connections": 2 * most + 32}
    changes = {"port": port, "teacher": False, "replica_cpus": 0.0, **bounds, **serve}
    ray = settings.ray.model_copy(update={"address": None})
    own = settings.serve.model_copy(update=changes)
    return settings.model_copy(update={"storage": storage, "serve": own, "ray": ray})


def _offline(settings: Settings) -> dict[str, Any]:
    """The package called without a server: seconds of each pass by batch size."""
    done = subprocess.run(
        [sys.executable, "-c", _OFFLINE, str(_REPEATS)],
        input=settings.model_dump_json(),
        stdout=subprocess.PIPE,
        text=True,
        env=_environment(),
        check=False,
    )
    if done.returncode:
        raise RuntimeError("the package does not run without a server; see above")
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def _environment() -> dict[str, str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    environment.pop("RAY_ADDRESS", None)
    return environment
