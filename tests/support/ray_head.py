"""A Ray head as an engineer starts one by hand: a process of its own, with a token and a dashboard."""

import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from servers import free_port

GCS = "TEST_GCS_ADDRESS"
TOKEN = "0123456789abcdef0123456789abcdef"


@contextmanager
def ray_head(num_cpus: int = 2) -> Iterator[dict[str, str]]:
    """Yields what the environment of its clients must say.

    Its folder is in no test's own: Ray puts sockets there, whose paths must be short.
    """
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        yield from _head(Path(folder), num_cpus)


def _head(folder: Path, num_cpus: int) -> Iterator[dict[str, str]]:
    clients = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}
    ports = {
        name: free_port()
        for name in ("port", "dashboard-port", "dashboard-agent-listen-port", "dashboard-agent-grpc-port",
                     "runtime-env-agent-port", "metrics-export-port", "node-manager-port", "object-manager-port")
    }  # fmt: skip
    command = [
        sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--disable-usage-stats",
        f"--num-cpus={num_cpus}", "--dashboard-host=127.0.0.1", "--min-worker-port=0", "--max-worker-port=0",
        "--object-store-memory=200000000", f"--temp-dir={folder}", *(f"--{k}={v}" for k, v in ports.items()),
    ]  # fmt: skip
    log = (folder / "head.log").open("w")
    environment = {**os.environ, **clients, "RAY_ADDRESS": ""}
    process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    address = f"http://127.0.0.1:{ports['dashboard-port']}"
    try:
        _until_it_takes_jobs(address, process)
        yield {**clients, "RAY_API_SERVER_ADDRESS": address, GCS: f"{node_address()}:{ports['port']}"}
    finally:
        _end(process)
        log.close()


def node_address() -> str:
    """This machine's address, as Ray sees it."""
    from ray.util import get_node_ip_address

    return str(get_node_ip_address())


@contextmanager
def ray_node_without(hidden: Path, environment: dict[str, str], log: Path) -> Iterator[None]:
    """A further node of a head, with a CPU and an empty folder in place of ``hidden``."""
    start = [
        sys.executable, "-m", "ray.scripts.scripts", "start", f"--address={environment[GCS]}", "--block",
        "--num-cpus=1", "--object-store-memory=100000000", "--min-worker-port=0", "--max-worker-port=0",
        "--disable-usage-stats",
    ]  # fmt: skip
    command = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs tmpfs "$0" && exec "$@"', str(hidden), *start]
    with log.open("w") as file:
        process = subprocess.Popen(
            command, env={**os.environ, **environment}, stdout=file, stderr=file, start_new_session=True
        )
        try:
            yield
        finally:
            _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _until_it_takes_jobs(address: str, process: "subprocess.Popen[bytes]") -> None:
    request = urllib.request.Request(f"{address}/api/jobs/", headers={"Authorization": f"Bearer {TOKEN}"})
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the head ended with {process.returncode}")
        try:
            urllib.request.urlopen(request, timeout=5).close()
            return
        except (OSError, urllib.error.URLError):
            time.sleep(0.5)
    raise TimeoutError(address)
