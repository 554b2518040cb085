"""The OpenAPI document is true: schemathesis gets no answer that it does not name, and none of a broken server."""

import asyncio
import importlib.util
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import uvicorn
from hummingbird_serve.api import build_api
from hummingbird_serve.keys import KeyRing
from hummingbird_serve.requests import ServedModel, parse_request
from servers import free_port

from .conftest import make_jobs

pytestmark = pytest.mark.slow

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
)
EXAMPLES = 25
"""Requests of each operation and phase."""


@pytest.fixture
def url(tmp_path: Path, models: dict[str, ServedModel]) -> Iterator[str]:
    async def ready() -> bool:
        return True

    jobs = make_jobs(tmp_path, drain_seconds=0.01)
    jobs.queues["teacher"] = jobs.queues["student"]
    parse = partial(parse_request, models=models, max_prompt_characters=500, count_tokens=len)
    app = build_api(jobs, models, parse, KeyRing([], 3, b"secret"), ready, len)
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    until = time.monotonic() + 20
    while not server.started:
        assert time.monotonic() < until
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(20)


@pytest.mark.skipif(importlib.util.find_spec("schemathesis") is None, reason="needs schemathesis")
def test_no_answer_contradicts_the_openapi_document(url: str, tmp_path: Path) -> None:
    # Of what it cannot guess it is told the name of a model; videos it makes itself.
    (tmp_path / "schemathesis.toml").write_text('[parameters]\n"path.name" = "student"\n')
    done = subprocess.run(
        [
            sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json", "--seed", "1",
            "--max-examples", str(EXAMPLES), "--checks", ",".join(CHECKS),
            "--phases", "examples,coverage,fuzzing,stateful",
            "--generation-database", "none", "--request-timeout", "20", "--no-color",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
