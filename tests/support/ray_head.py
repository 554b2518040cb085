"""A Ray head as an engineer starts one by hand: a process of its own, with a token and a dashboard."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from servers import free_port

TOKEN = "0123456789abcdef0123456789abcdef"


@contextmanager
def ray_head(folder: Path, num_cpus: int = 2) -> Iterator[dict[str, str]]:
    """Yields what the environment of its clients must say."""
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
        yield {**clients, "RAY_API_SERVER_ADDRESS": address}
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        log.close()


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
