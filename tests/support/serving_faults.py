"""A small server that can be killed in every way, and what must hold of its jobs.

    python tests/support/serving_faults.py --rounds 10

In each round jobs are accepted while something is killed, and every one must come to one end. The models are the
shipped ones, or those of another folder (``--pipelines``) that has ``student`` and ``teacher``.
"""

import argparse
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
from hummingbird.core.model_references import SHIPPED_WEIGHTS, pipeline_part

ROOT = Path(__file__).parents[2]
ENDS = ("completed", "failed", "cancelled")
STEPS = 8


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class SmallServer:
    """A server in a process of its own, with its own Ray; several may share a storage."""

    def __init__(self, storage: Path, pipelines: Path, **settings: Any) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        arguments = [sys.executable, __file__, "--serve", str(storage), "--pipelines", str(pipelines)]
        options = {"port": self.port, "lease_seconds": 4.0, "max_queued": 60, **settings}
        self.log = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the server
        paths = [str(ROOT / part) for part in ("platform", "data", "serve", "jobs")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        self.process = subprocess.Popen(
            [*arguments, json.dumps(options)],
            stdout=self.log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
        self.client = httpx.Client(base_url=self.url, timeout=30)

    def wait(self, seconds: float = 180.0) -> "SmallServer":
        """Until it would make a video."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                if self.client.get("/ready").status_code == 200:
                    return self
            except httpx.TransportError:
                pass
            if self.process.poll() is not None:
                break
            time.sleep(0.2)
        self.log.seek(0)
        raise RuntimeError(f"the server did not start: {self.log.read()[-3000:].decode(errors='replace')}")

    def tree(self) -> list[psutil.Process]:
        """Its processes, itself last."""
        own = psutil.Process(self.process.pid)
        return [*own.children(recursive=True), own]

    def kill(self) -> None:
        """SIGKILL to all that belongs to it."""
        if self.process.poll() is None:
            for process in self.tree():
                with_gone(process.kill)
            self.process.wait(30)

    def kill_replica(self, name: str) -> int:
        """SIGKILL to the replicas of a deployment ("Generator", "Ingress"); how many there were."""
        killed = 0
        for process in self.tree():
            if with_gone(lambda process=process: f":{name}" in " ".join(process.cmdline())):  # type: ignore[misc]
                with_gone(process.kill)
                killed += 1
        return killed

    def terminate(self, seconds: float = 60.0) -> int:
        """SIGTERM to the server, as an operator sends it; its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def create(self, count: int, **fields: Any) -> list[str]:
        """Ids of videos that were accepted."""
        made = []
        for number in range(count):
            body = {"prompt": "a red circle", "seed": number % 3, "steps": STEPS, **fields}
            answer = self.client.post("/v1/videos", json=body)
            if answer.status_code == 200:
                made.append(str(answer.json()["id"]))
        return made

    def create_one(self, seed: int) -> str:
        """The id of a finished video of that seed."""
        name = self.create(1, seed=seed)[0]
        self.ends([name])
        return name

    def ends(self, ids: list[str], seconds: float = 120.0) -> dict[str, dict[str, Any]]:
        """The videos once all are finished; one that is not there is an error."""
        until, found = time.monotonic() + seconds, dict[str, dict[str, Any]]()
        while len(found) < len(ids):
            if time.monotonic() > until:
                raise TimeoutError(f"{len(ids) - len(found)} of {len(ids)} videos came to no end")
            for name in [name for name in ids if name not in found]:
                try:
                    answer = self.client.get(f"/v1/videos/{name}")
                except httpx.TransportError:
                    break
                if answer.status_code in (500, 502, 503):  # the ingress is being replaced
                    break
                if answer.status_code != 200:
                    raise AssertionError(f"{name} was accepted and is lost: {answer.text}")
                if answer.json()["status"] in ENDS:
                    found[name] = answer.json()
            time.sleep(0.1)
        return found

    def content(self, name: str) -> bytes:
        answer = self.client.get(f"/v1/videos/{name}/content")
        answer.raise_for_status()
        return answer.content


def with_gone(do: Any) -> Any:
    """What ``do`` returns; none where the process ended meanwhile."""
    try:
        return do()
    except psutil.Error:
        return None


@contextmanager
def small_server(storage: Path, pipelines: Path, **settings: Any) -> Iterator[SmallServer]:
    server = SmallServer(storage, pipelines, **settings)
    try:
        yield server
    finally:
        server.kill()


def check_files(storage: Path, videos: dict[str, dict[str, Any]]) -> None:
    """Each completed video has one mp4, nothing else has one, and each job one end."""
    media = [path.name.partition(".")[0] for path in (storage / "serve" / "videos").glob("*.mp4")]
    completed = sorted(name for name, video in videos.items() if video["status"] == "completed")
    assert sorted(name for name in media if name in videos) == completed
    ends = {path.name.partition(".")[0] for path in (storage / "serve" / "jobs").glob("*.end")}
    assert set(videos) <= ends


def vanish(server: SmallServer, count: int) -> None:
    """Clients that go away at random moments of a synchronous request."""

    def one() -> None:
        try:
            seconds = random.uniform(0.01, 0.5)
            httpx.post(f"{server.url}/v1/videos/sync", json={"prompt": "a red circle"}, timeout=seconds)
        except httpx.HTTPError:
            pass

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
        time.sleep(0.02)
    for thread in threads:
        thread.join()


def hold(server: SmallServer, count: int, sent: bytes) -> list[socket.socket]:
    """Connections of one client that stay open."""
    held = []
    for _ in range(count):
        one = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        one.sendall(sent)
        held.append(one)
    return held


def serve(storage: Path, pipelines: Path, options: dict[str, Any]) -> None:
    """Serves the small models until SIGTERM; this is the child."""
    from hummingbird.config.command_line import _interrupt
    from hummingbird.config.serve import ServeSettings
    from hummingbird.config.settings import Settings
    from hummingbird_serve.app import serve_models
    from hummingbird_serve.generator import GeneratorSettings
    from hummingbird_serve.requests import ServedModel

    signal.signal(signal.SIGTERM, _interrupt)
    settings = Settings(storage=storage, serve=ServeSettings(threads=1, batch_wait_seconds=0.02, **options))
    models = {}
    for name, batch in (("student", 3), ("teacher", 1)):
        card = ServedModel(name, False, 1000, 64, 64, 4, 8, STEPS, 50, 5.0, 24, int(time.time()))
        models[name] = (card, GeneratorSettings(pipelines / name, 1, batch, 0.02, 4, 8, 5.0))
    serve_models(settings, models, pipeline_part(pipelines / "student", "tokenizer") / "tokenizer.json")


def faults(storage: Path, pipelines: Path, rounds: int) -> None:
    """The longer run: prints a line a round."""
    server = SmallServer(storage, pipelines).wait()
    for number in range(rounds):
        ids, started = server.create(12), time.monotonic()
        kind = ("generator", "ingress", "server", "second server", "clients")[number % 5]
        time.sleep(random.uniform(0, 1))
        if kind == "generator":
            server.kill_replica("Generator")
        elif kind == "ingress":
            server.kill_replica("Ingress")
        elif kind == "server":
            server.kill()
            server = SmallServer(storage, pipelines).wait()
        elif kind == "second server":
            second = SmallServer(storage, pipelines).wait()
            ids += second.create(6)
            second.terminate()
        else:
            vanish(server, 50)
        videos = server.ends(ids, 300)
        check_files(storage, videos)
        states = [video["status"] for video in videos.values()]
        counts = ", ".join(f"{states.count(state)} {state}" for state in ENDS if state in states)
        print(f"{number + 1} {kind}: {counts} in {time.monotonic() - started:.0f} s", flush=True)
    server.terminate()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--pipelines", type=Path, default=SHIPPED_WEIGHTS)
    parser.add_argument("--serve", type=Path)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("options", nargs="?", default="{}")
    given = parser.parse_args()
    if given.serve:
        serve(given.serve, given.pipelines, json.loads(given.options))
    else:
        with tempfile.TemporaryDirectory() as folder:
            faults(Path(folder), given.pipelines, given.rounds)
