"""The Ray Serve deployment that makes videos: one loaded model, one thread of work, requests in batches."""

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ray import serve

from hummingbird_serve.background import compiled_package
from hummingbird_serve.metrics import PART_SECONDS, observe, watch_memory
from hummingbird_serve.requests import Event, Failure, Progress, Result, VideoRequest

logger = logging.getLogger("ray.serve")

batch: Any = serve.batch  # its types know no asynchronous generators

LOOK_SECONDS = 3.0
MAX_FAILURES = 3
"""Batches that may fail in a row before the replica reports itself ill and is replaced."""


@dataclass(frozen=True)
class GeneratorSettings:
    """What a replica loads and how it works."""

    model: Path
    """A compiled package or a pipeline folder."""
    threads: int | None
    max_batch_size: int
    batch_wait_seconds: float
    num_frames: int
    fps: int
    guidance: float
    compiled: str | None = None
    """The file that will name the pipeline's package (`hummingbird_serve.background`), which is taken in then."""
    pipeline: Path | None = None
    """The pipeline that styles are put into, where there are any."""
    styles: Mapping[str, Path] = field(default_factory=dict)
    """Folders of adapters by the names of styles."""


class _Ticket:
    """A request in a batch; ``gone`` once its client no longer waits."""

    def __init__(self, request: VideoRequest, alone: bool = False) -> None:
        self.request, self.alone = request, alone
        self.gone = False


class _AbandonedError(Exception):
    """No client waits for the batch any more."""


class Generator:
    """Makes videos from prompts.

    Requests with the same steps, guidance, frames, quality and style share a pass. A request that arrives while a pass
    runs waits until its latents are there, and then shares the next with all others that waited: so batches form under
    load, and a lone request waits for nobody longer than ``batch_wait_seconds``. Decoding and coding of one pass go
    on in a thread of their own while the next one is sampled.
    """

    def __init__(self, settings: GeneratorSettings) -> None:
        self._settings = settings
        self._failures = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._batched.set_max_batch_size(settings.max_batch_size)
        self._batched.set_batch_wait_timeout_s(settings.batch_wait_seconds)
        # Sampling holds this thread, so that the event loop stays free to report progress and health.
        self._worker = ThreadPoolExecutor(1, initializer=_use_threads, initargs=(settings.threads,))
        self._finisher = ThreadPoolExecutor(1, initializer=_use_threads, initargs=(settings.threads,))
        package = compiled_package(settings.compiled) if settings.compiled else None
        self._sampler: Any = self._worker.submit(_load, settings, package or settings.model).result()
        self._wanted = settings.compiled if package is None else None
        self._taking_in: asyncio.Task[None] | None = None

    async def ready(self) -> bool:
        """True, once the model is loaded and has made a first video. Asked again and again."""
        if self._wanted is not None and self._taking_in is None:
            self._taking_in = asyncio.create_task(self._take_in(self._wanted))
        return True

    def check_health(self) -> None:
        """Called by Ray Serve; an error makes it replace the replica."""
        if self._failures >= MAX_FAILURES:
            raise RuntimeError(f"the last {self._failures} batches failed")

    async def generate(self, request: VideoRequest, alone: bool = False) -> AsyncIterator[Event]:
        """Progress after every step, then the result, or a failure; ``alone`` in a pass of its own."""
        await self._idle.wait()
        ticket = _Ticket(request, alone)
        try:
            async for event in self._batched(ticket):
                if event is not None:
                    yield event
        finally:
            ticket.gone = True

    async def _take_in(self, name: str) -> None:
        """Loads the compiled package once it is there; passes that run end as they began."""
        loop = asyncio.get_running_loop()
        while (package := await asyncio.to_thread(compiled_package, name)) is None:
            await asyncio.sleep(LOOK_SECONDS)
        try:
            self._sampler = await loop.run_in_executor(None, _load, self._settings, package)
        except Exception:
            logger.exception("the compiled package %s does not load: the model stays as it is", package)

    @batch(max_batch_size=1, max_concurrent_batches=2)
    async def _batched(self, tickets: list[_Ticket]) -> AsyncIterator[list[Any]]:
        """Every item has one entry a ticket: an event, None, or StopIteration for one that is through."""
        self._idle.clear()
        entries: list[Any] = [None] * len(tickets)
        groups = list(_groups(tickets))
        sampling = True

        def release() -> None:
            nonlocal sampling
            if sampling:  # once: the next pass may have begun since
                sampling = False
                self._idle.set()

        try:
            for group in groups:
                sampled = release if group is groups[-1] else lambda: None
                async for events in self._run([tickets[index] for index in group], sampled):
                    for index, event in zip(group, events, strict=True):
                        entries[index] = event
                    yield list(entries)
                for index in group:
                    entries[index] = StopIteration
        finally:
            release()

    async def _run(
        self, tickets: Sequence[_Ticket], sampled: Callable[[], object]
    ) -> AsyncIterator[Sequence[Event]]:
        """One pass as a stream of events, one a ticket each time; ``sampled`` is called when its latents are there."""
        loop = asyncio.get_running_loop()
        events: asyncio.Queue[Sequence[Event] | None] = asyncio.Queue()

        def post(item: Sequence[Event] | None) -> None:
            loop.call_soon_threadsafe(events.put_nowait, item)

        sampler, started = self._sampler, time.perf_counter()
        work = loop.run_in_executor(self._worker, _sample, sampler, tickets, post)
        work.add_done_callback(lambda _: events.put_nowait(None))
        while (item := await events.get()) is not None:
            yield item
        sampled()
        first = tickets[0].request
        observe("hummingbird_serve_batch_size", len(tickets), model=first.model)
        observe(PART_SECONDS, time.perf_counter() - started, model=first.model, part="denoise")
        try:
            files = await loop.run_in_executor(self._finisher, sampler.files, work.result(), first)
            seconds = time.perf_counter() - started
            results: Sequence[Event] = [
                Result(mp4, thumbnail, seconds, len(tickets)) for mp4, thumbnail in files
            ]
            watch_memory(first.model)
            self._failures = 0
        except _AbandonedError:
            results = [Failure("nobody waited for the video any more")] * len(tickets)
        except Exception as error:
            logger.exception("a batch of %d failed", len(tickets))
            self._failures += 1
            results = [Failure(f"the model failed: {type(error).__name__}", len(tickets))] * len(tickets)
        yield results


def _sample(sampler: Any, tickets: Sequence[_Ticket], post: Callable[[Sequence[Event]], None]) -> Any:
    """Latents of requests that share a pass; each step is told.

    Raises:
        _AbandonedError: nobody waits for any of them.
    """
    steps = tickets[0].request.steps

    def report(done: int) -> None:
        if all(ticket.gone for ticket in tickets):
            raise _AbandonedError
        post([Progress(done, steps)] * len(tickets))

    return sampler.latents([ticket.request for ticket in tickets], report)


def _groups(tickets: Sequence[_Ticket]) -> Iterator[list[int]]:
    """Indices of the tickets that can share a pass, in order of arrival."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for index, ticket in enumerate(tickets):
        request = ticket.request
        own = index if ticket.alone else None
        choices = (request.quality, request.style, request.style_scale)
        key = (request.steps, request.guidance, request.num_frames, request.fps, *choices, own)
        groups.setdefault(key, []).append(index)
    yield from groups.values()


def _use_threads(threads: int | None) -> None:
    """OpenMP counts threads for each calling thread, so this runs in the worker thread itself."""
    import torch

    torch.set_num_threads(threads or len(os.sched_getaffinity(0)))


def _load(settings: GeneratorSettings, model: Path) -> Any:
    """The model, warmed up: a pass of a single request and of a full batch, down to the files."""
    from hummingbird_serve.sampler import Sampler

    sampler = Sampler(model, settings.pipeline, settings.styles)
    request = VideoRequest("", "", 0, 1, settings.guidance, settings.num_frames, settings.fps, "", "")
    for size in sorted({1, settings.max_batch_size}):
        sampler.files(sampler.latents([request] * size, lambda done: None), request)
    return sampler
