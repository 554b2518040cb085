"""What the tests of serving share: untrained pipelines, requests, and a server on real Ray."""

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from hummingbird.config.serve import ServeSettings
from hummingbird.config.settings import Settings
from hummingbird_serve.jobs import VideoJobs
from hummingbird_serve.requests import Event, Failure, Progress, Result, ServedModel, VideoRequest
from hummingbird_serve.state import FolderState, State
from hummingbird_serve.store import JobStore
from hummingbird_serve.videos import Generate, GeneratorLostError, ModelQueue
from servers import SECRET, postgresql

MP4, PICTURE = bytes(range(256)) * 4, b"RIFF"
FRAMES, SIZE, FPS = 4, 64, 8


def served(name: str = "student", **changes: Any) -> ServedModel:
    facts = {
        "compiled": False, "parameters": 1000, "width": SIZE, "height": SIZE, "num_frames": FRAMES,
        "fps": FPS, "steps": 4, "max_steps": 8, "guidance": 5.0, "max_tokens": 8, "created": 1,
    }  # fmt: skip
    return ServedModel(name=name, **facts | changes)


class FakeGenerator:
    """Makes videos at once, but for prompts that say otherwise; ``gate`` opens those that wait."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.begun: list[str] = []
        self.alone: list[bool] = []
        self.losses = 0
        """How often "lost" still loses its generator."""

    async def __call__(self, request: VideoRequest, alone: bool) -> AsyncIterator[Event]:
        if request.prompt == "unbegun":
            await self.gate.wait()
        self.begun.append(request.prompt)
        self.alone.append(alone)
        for step in range(request.steps + 1):
            yield Progress(step, request.steps)
            if request.prompt == "stay":
                await self.gate.wait()
            if request.prompt == "interrupted" and self.losses > 0:
                self.losses -= 1
                raise asyncio.CancelledError
            if request.prompt == "slow":
                await asyncio.sleep(0.1)
        if request.prompt == "lost" and self.losses > 0:
            self.losses -= 1
            raise GeneratorLostError("the generator died")
        if request.prompt == "fail":
            yield Failure("no")
        elif request.prompt == "bad company" and not alone:
            yield Failure("no", batch_size=2)
        else:
            yield Result(MP4, PICTURE, 0.5, 1)


def make_jobs(
    folder: Path, generate: Generate | None = None, state: State | None = None, **settings: Any
) -> VideoJobs:
    """The jobs of one server, with one place in a pass."""
    bounds = {"scan_seconds": 0.01, "lease_seconds": 0.3, "drain_seconds": 1.0, "max_queued": 9, **settings}
    store = JobStore(state or FolderState(folder / "jobs"), folder / "videos")
    return VideoJobs(
        store, {"student": ModelQueue(generate or FakeGenerator(), 1, 1)}, ServeSettings(**bounds)
    )


@pytest.fixture
def models() -> dict[str, ServedModel]:
    return {"student": served(), "teacher": served("teacher", steps=50, max_steps=50)}


@pytest.fixture
def request_() -> VideoRequest:
    return VideoRequest("student", "a red circle", 1, 2, 5.0, FRAMES, FPS, f"{SIZE}x{SIZE}", "0.5")


@pytest.fixture(scope="session")
def _postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch, postgresql(tmp_path_factory.mktemp("postgresql")) as url:
        patch.setenv("PGPASSWORD", SECRET)
        yield url


@pytest.fixture
def database(_postgresql: str) -> Iterator[str]:
    """The URL of a PostgreSQL without jobs."""
    yield _postgresql
    engine = sqlalchemy.create_engine(_postgresql)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("drop table if exists hummingbird_serve"))
    engine.dispose()


@pytest.fixture(scope="session")
def server(
    ray_cluster: None, tiny_pipelines: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of a server of the tiny student and teacher."""
    from hummingbird_serve.app import build_application, run_application
    from hummingbird_serve.generator import GeneratorSettings
    from ray import serve

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = Settings(
        storage=tmp_path_factory.mktemp("storage"),
        serve=ServeSettings(port=port, max_queued=6, batch_wait_seconds=0.05, threads=1, drain_seconds=5),
    )
    offered = {}
    for name in ("student", "teacher"):
        steps, most, batch = (2, 8, 3) if name == "student" else (4, 50, 1)
        card = served(name, steps=steps, max_steps=most, created=int(time.time()))
        path = tiny_pipelines[name]
        offered[name] = (
            card,
            GeneratorSettings(path, 1, batch, 0.05 if batch > 1 else 0.0, FRAMES, FPS, 5.0),
        )
    tokenizer = tiny_pipelines["student"] / "tokenizer" / "tokenizer.json"
    os.environ.pop("HUMMINGBIRD_TOKEN", None)
    run_application(build_application(settings, offered, tokenizer, needs_key=False), settings)
    yield f"http://127.0.0.1:{port}"
    serve.shutdown()
