"""The API and the page without Ray, under uvicorn, with a generator whose videos play and whose pace is told."""

import asyncio
import io
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from hummingbird.config.serve import ServeSettings
from hummingbird.models.video import write_mp4
from hummingbird_serve.api import build_api
from hummingbird_serve.jobs import VideoJobs
from hummingbird_serve.keys import ApiKey, KeyRing, hashed
from hummingbird_serve.page import build_page, mount_page
from hummingbird_serve.requests import Event, Progress, Result, ServedModel, VideoRequest, parse_request
from hummingbird_serve.state import FolderState
from hummingbird_serve.store import JobStore
from hummingbird_serve.videos import ModelQueue
from PIL import Image

MAX_TOKENS = 24


def count_words(prompt: str) -> int:
    return len(prompt.split()) + 2


class PacedGenerator:
    """A square of the seed's color that wanders; takes ``step_seconds`` a step, and stands still while held."""

    def __init__(self, step_seconds: float) -> None:
        self.step_seconds = step_seconds
        self.free = threading.Event()
        self.free.set()

    async def __call__(self, request: VideoRequest, alone: bool) -> AsyncIterator[Event]:
        for step in range(request.steps + 1):
            yield Progress(step, request.steps)
            await asyncio.sleep(self.step_seconds)
            while step == request.steps // 2 and not self.free.is_set():
                await asyncio.sleep(0.05)
        frames = np.full((request.num_frames, 64, 64, 3), 235, np.uint8)
        color = np.random.default_rng(request.seed).integers(0, 200, 3)
        for at, frame in enumerate(frames):
            frame[20:44, 2 * at : 2 * at + 24] = color
        mp4, picture = io.BytesIO(), io.BytesIO()
        write_mp4(frames, request.fps, mp4)
        Image.fromarray(frames[len(frames) // 2]).save(picture, "WEBP")
        yield Result(mp4.getvalue(), picture.getvalue(), self.step_seconds * request.steps, 1)


@contextmanager
def page_server(
    folder: Path,
    models: Sequence[ServedModel],
    generator: PacedGenerator,
    key: str | None = None,
    **settings: Any,
) -> Iterator[str]:
    """The address of a server of these models, the student first; ``key``: what clients must send."""
    import uvicorn

    cards = {model.name: model for model in models}
    own = ServeSettings(**{"scan_seconds": 0.1, "drain_seconds": 0.1, **settings})
    queues = {name: ModelQueue(generator, 1, 1, card.version) for name, card in cards.items()}
    jobs = VideoJobs(JobStore(FolderState(folder / "jobs"), folder / "videos"), queues, own)
    parse = partial(parse_request, models=cards, max_prompt_characters=500, count_tokens=count_words)
    keys = KeyRing([ApiKey(name="own", sha256=hashed(key))] if key else [], 5, b"secret")

    async def ready() -> bool:
        return True

    app = build_api(jobs, cards, parse, keys, ready, count_words)
    app = mount_page(app, build_page(cards, own.examples, own.max_prompt_characters, login=bool(keys)))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join(timeout=30)
