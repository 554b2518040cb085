"""The Ray Serve deployment that makes videos: one loaded model, one thread of work, requests in batches."""

import asyncio
import io
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from ray import serve

from hummingbird_serve.metrics import observe, watch_memory
from hummingbird_serve.requests import Event, Failure, Progress, Result, VideoRequest

logger = logging.getLogger("ray.serve")

batch: Any = serve.batch  # its types know no asynchronous generators

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


class _Ticket:
    """A request in a batch; ``gone`` once its client no longer waits."""

    def __init__(self, request: VideoRequest, alone: bool = False) -> None:
        self.request, self.alone = request, alone
        self.gone = False


class _AbandonedError(Exception):
    """No client waits for the batch any more."""


class Generator:
    """Makes videos from prompts.

    Requests with the same steps, guidance and frames share a pass. A request that arrives while a pass runs
    waits until it ends, and then shares the next with all others that waited: so batches form under load, and
    a lone request waits for nobody longer than ``batch_wait_seconds``.
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
        self._model: Callable[..., Any] = self._worker.submit(_load, settings).result()

    async def ready(self) -> bool:
        """True, once the model is loaded and has made a first video."""
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

    @batch(max_batch_size=1)
    async def _batched(self, tickets: list[_Ticket]) -> AsyncIterator[list[Any]]:
        """Every item has one entry a ticket: an event, None, or StopIteration for one that is through."""
        self._idle.clear()
        entries: list[Any] = [None] * len(tickets)
        try:
            for group in _groups(tickets):
                async for events in self._run([tickets[index] for index in group]):
                    for index, event in zip(group, events, strict=True):
                        entries[index] = event
                    yield list(entries)
                for index in group:
                    entries[index] = StopIteration
        finally:
            self._idle.set()

    async def _run(self, tickets: Sequence[_Ticket]) -> AsyncIterator[Sequence[Event]]:
        """One pass in the worker thread, as a stream of events, one a ticket each time."""
        loop = asyncio.get_running_loop()
        events: asyncio.Queue[Sequence[Event] | None] = asyncio.Queue()

        def post(item: Sequence[Event] | None) -> None:
            loop.call_soon_threadsafe(events.put_nowait, item)

        work = loop.run_in_executor(self._worker, self._sample, tickets, post)
        work.add_done_callback(lambda _: events.put_nowait(None))
        while (item := await events.get()) is not None:
            yield item
        try:
            results: Sequence[Event] = work.result()
            self._failures = 0
        except _AbandonedError:
            results = [Failure("nobody waited for the video any more")] * len(tickets)
        except Exception as error:
            logger.exception("a batch of %d failed", len(tickets))
            self._failures += 1
            results = [Failure(f"the model failed: {type(error).__name__}", len(tickets))] * len(tickets)
        yield results

    def _sample(self, tickets: Sequence[_Ticket], post: Callable[[Sequence[Event]], None]) -> list[Event]:
        from hummingbird.models.video import seeded_generators, to_uint8, write_mp4

        first = tickets[0].request
        started = denoised = time.perf_counter()

        def report(done: int) -> None:
            if all(ticket.gone for ticket in tickets):
                raise _AbandonedError
            post([Progress(done, first.steps)] * len(tickets))

        def on_step_end(_: object, step: int, __: int, tensors: dict[str, Any]) -> dict[str, Any]:
            nonlocal denoised
            denoised = time.perf_counter()
            report(step + 1)
            return tensors

        report(0)
        output = self._model(
            [ticket.request.prompt for ticket in tickets],
            generator=seeded_generators(ticket.request.seed for ticket in tickets),
            num_inference_steps=first.steps,
            guidance_scale=first.guidance,
            num_frames=first.num_frames,
            fps=first.fps,
            output_type="pt",
            callback_on_step_end=on_step_end,
        )
        decoded = time.perf_counter()
        files = []
        for video in to_uint8(output.frames):
            file = io.BytesIO()
            write_mp4(video, first.fps, file)
            files.append((file.getvalue(), _picture(video[len(video) // 2])))
        ended = time.perf_counter()
        parts = {"denoise": denoised - started, "decode": decoded - denoised, "files": ended - decoded}
        for part, seconds in parts.items():
            observe("hummingbird_serve_part_seconds", seconds, model=first.model, part=part)
        observe("hummingbird_serve_batch_size", len(tickets), model=first.model)
        watch_memory(first.model)
        seconds = ended - started
        return [Result(mp4, picture, seconds, len(tickets)) for mp4, picture in files]


def _groups(tickets: Sequence[_Ticket]) -> Iterator[list[int]]:
    """Indices of the tickets that can share a pass, in order of arrival."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for index, ticket in enumerate(tickets):
        request = ticket.request
        own = index if ticket.alone else None
        choices = (request.quality, request.style)
        key = (request.steps, request.guidance, request.num_frames, request.fps, *choices, own)
        groups.setdefault(key, []).append(index)
    yield from groups.values()


def _picture(frame: NDArray[np.uint8]) -> bytes:
    """A frame (H, W, 3) as WebP."""
    file = io.BytesIO()
    Image.fromarray(frame).save(file, "WEBP", quality=80)
    return file.getvalue()


def _use_threads(threads: int | None) -> None:
    """OpenMP counts threads for each calling thread, so this runs in the worker thread itself."""
    import torch

    torch.set_num_threads(threads or len(os.sched_getaffinity(0)))


def _load(settings: GeneratorSettings) -> Callable[..., Any]:
    """The model, on the GPU where there is one, warmed up: a pass of a single request and of a full batch."""
    import torch
    from hummingbird.compiling.package import CompiledPipeline, is_package
    from hummingbird.models.pipeline import load_pipeline

    model: Any
    if is_package(settings.model):
        model = CompiledPipeline.load(settings.model)  # knows its device
    else:
        model = load_pipeline(settings.model)
        if torch.cuda.is_available():
            model.to("cuda")
    model.set_progress_bar_config(disable=True)
    for size in sorted({1, settings.max_batch_size}):
        model(
            [""] * size,
            num_inference_steps=1,
            guidance_scale=settings.guidance,
            num_frames=settings.num_frames,
            fps=settings.fps,
            output_type="pt",
        )
    loaded: Callable[..., Any] = model
    return loaded
