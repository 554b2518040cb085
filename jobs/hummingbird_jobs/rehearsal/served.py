"""The end of a rehearsal: the package behind a server of its own, asked for a video over HTTP."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from hummingbird.core.files import AnyPath

UP = "Hummingbird is up"
SECONDS = 900.0
PROMPT = "a red boat on a lake"


def served_video(storage: AnyPath, package: str, target: Path) -> Path:
    """Serves a package, asks for one video and writes it to ``target``; returns ``target``.

    Raises:
        RuntimeError: the server does not come up, or the video fails; with the end of the server's output.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", "from hummingbird_jobs.verbs import run; run('serve')"]
    command += [
        "--storage",
        str(storage),
        f"serve.model={package}",
        f"serve.port={port}",
        "serve.teacher=false",
    ]
    log = target.with_name("server.log")
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
        try:
            _wait(lambda: UP in _end(log), server, log, "the server did not come up")
            url = f"http://127.0.0.1:{port}/v1/videos"
            video = _json(url, {"prompt": PROMPT, "seed": 0})
            states: list[str] = []

            def done() -> bool:
                states.append(_json(f"{url}/{video['id']}")["status"])
                return states[-1] in ("completed", "failed")

            _wait(done, server, log, "the video was not made")
            if states[-1] != "completed":
                raise RuntimeError(f"the video failed: {_json(url + '/' + video['id'])}; {_end(log)}")
            with urllib.request.urlopen(f"{url}/{video['id']}/content", timeout=60) as answer:
                target.write_bytes(answer.read())
        finally:
            if server.poll() is None:
                server.send_signal(signal.SIGINT)
                try:
                    server.wait(60)
                except subprocess.TimeoutExpired:
                    server.kill()
                    server.wait()
    return target


def _json(url: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        content: dict[str, Any] = json.loads(answer.read())
    return content


def _wait(done: Any, server: "subprocess.Popen[bytes]", log: Path, problem: str) -> None:
    end = time.monotonic() + SECONDS
    while not done():
        if server.poll() is not None:
            raise RuntimeError(f"{problem}: the server ended with code {server.returncode}: {_end(log)}")
        if time.monotonic() > end:
            raise RuntimeError(f"{problem} within {SECONDS:.0f} s: {_end(log)}")
        time.sleep(0.5)


def _end(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-2000:]
