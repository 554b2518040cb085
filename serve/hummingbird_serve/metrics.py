"""What the server counts and measures for Prometheus, through Ray, which offers it as ``ray_hummingbird_serve_...``.

Counters end in ``_total`` there, histograms in ``_bucket``, ``_sum`` and ``_count``. Outside Ray nothing is counted.
The one line of the log that each job has is here, too.
"""

import json
import logging
import sys
import time
from collections.abc import Mapping
from functools import cache
from typing import Any

import psutil
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hummingbird_serve.videos import Video

_SECONDS = (0.005, 0.02, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)

PART_SECONDS = "hummingbird_serve_part_seconds"

METRICS: dict[str, tuple[str, str, tuple[str, ...], tuple[float, ...]]] = {
    "hummingbird_serve_requests": (
        "Counter", "HTTP requests by route and status; page: what Gradio answers", ("route", "method", "code"), ()
    ),
    "hummingbird_serve_request_seconds": (
        "Histogram", "Time from a request to the start of its answer", ("route",), _SECONDS
    ),
    "hummingbird_serve_queued": (
        "Gauge", "Videos waiting, of all servers on the storage: each of them says the same", ("model",), ()
    ),
    "hummingbird_serve_in_progress": (
        "Gauge", "Videos in work, of all servers on the storage: each of them says the same", ("model",), ()
    ),
    "hummingbird_serve_wait_seconds": (
        "Histogram", "Time from a request to the start of its making", ("model",), _SECONDS
    ),
    "hummingbird_serve_jobs": ("Counter", "Jobs that ended, by how", ("model", "outcome"), ()),
    "hummingbird_serve_failures": ("Counter", "Jobs that failed, by the code of their error", ("model", "code"), ()),
    "hummingbird_serve_requeued": ("Counter", "Jobs given back to be made again", ("model",), ()),
    "hummingbird_serve_storage_trouble": ("Gauge", "1 while the storage of the jobs is full or fails", (), ()),
    "hummingbird_serve_batch_size": (
        "Histogram", "Videos that share a pass", ("model",), (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
    ),
    PART_SECONDS: (
        "Histogram", "Time of a pass by part: denoise (and text encoder), decode, files", ("model", "part"), _SECONDS
    ),
    "hummingbird_serve_memory_bytes": (
        "Gauge",
        "Memory of a generator after its last pass: device_allocated, device_peak, or resident on a CPU",
        ("model", "kind"),
        (),
    ),
}  # fmt: skip
"""By name: kind, what it says, its tags, and the upper bounds of a histogram's buckets. All that there are."""

job_log = logging.getLogger("hummingbird.jobs")


def count(name: str, value: float = 1.0, **tags: str) -> None:
    """Adds to a counter of `METRICS`."""
    if _in_ray():
        _metric(name).inc(value, tags=tags)


def gauge(name: str, value: float, **tags: str) -> None:
    """Sets a gauge of `METRICS`."""
    if _in_ray():
        _metric(name).set(value, tags=tags)


def observe(name: str, value: float, **tags: str) -> None:
    """Puts a value into a histogram of `METRICS`."""
    if _in_ray():
        _metric(name).observe(value, tags=tags)


def log_jobs() -> None:
    """Lets this process write the line of each job to its standard error, as JSON alone."""
    if not job_log.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(message)s"))
        job_log.addHandler(handler)
        job_log.setLevel(logging.INFO)
        job_log.propagate = False


def job_ended(video: Video, outcome: str, now: float) -> None:
    """Counts a job and writes its line; to be called by the one server that ended it. The prompt is not told."""
    request, end = video.request, video.end
    code = end.code if end is not None and outcome == "failed" else None
    count("hummingbird_serve_jobs", model=request.model, outcome=outcome)
    if outcome == "failed":
        count("hummingbird_serve_failures", model=request.model, code=code or "unknown")
    begun = video.begun_at
    line = {
        "event": "job",
        "id": video.id,
        "outcome": outcome,
        "code": code,
        "reason": end.error if code and end is not None else None,
        "client": video.job.client or None,
        "user": request.user,
        "model": request.model,
        "model_version": end.model_version if end is not None else None,
        "steps": request.steps,
        "seed": request.seed,
        "attempts": video.claim.attempts + int(begun is not None) if video.claim else 0,
        "wait_seconds": None if begun is None else round(begun - video.job.created_at, 3),
        "generation_seconds": end.generation_seconds if end is not None else None,
        "batch_size": end.batch_size if end is not None else None,
        "total_seconds": round(now - video.job.created_at, 3),
        "ended_at": round(now, 3),
    }
    job_log.info(json.dumps({name: value for name, value in line.items() if value is not None}))


def watch_memory(model: str) -> None:
    """Measures the memory of this process, a generator's: the GPU's, where it has one."""
    import torch

    if torch.cuda.is_available():
        gauge(
            "hummingbird_serve_memory_bytes",
            torch.cuda.memory_allocated(),
            model=model,
            kind="device_allocated",
        )
        gauge(
            "hummingbird_serve_memory_bytes",
            torch.cuda.max_memory_allocated(),
            model=model,
            kind="device_peak",
        )
    else:
        resident = psutil.Process().memory_info().rss
        gauge("hummingbird_serve_memory_bytes", resident, model=model, kind="resident")


class RequestCounter:
    """The outermost middleware: counts requests, those that the guard refuses too."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, and notes the status of its answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, code = time.perf_counter(), 0

        async def noting(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = int(message["status"])
                observe(
                    "hummingbird_serve_request_seconds", time.perf_counter() - started, route=_route(scope)
                )
            await send(message)

        try:
            await self.app(scope, receive, noting)
        finally:  # 0: the client left before there was an answer
            method = scope["method"] if scope["method"] in _METHODS else "other"
            count("hummingbird_serve_requests", route=_route(scope), method=method, code=str(code))


_OWN = ("/v1/", "/health", "/ready", "/docs", "/openapi.json", "/login", "/logout")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def _route(scope: Mapping[str, Any]) -> str:
    """The pattern that a request matched: never a path of the client's, of which there are too many."""
    path = getattr(scope.get("route"), "path", None)
    if isinstance(path, str) and path.startswith(_OWN) and not path.startswith("/v1/{rest"):
        return path
    return "none" if str(scope["path"]).startswith("/v1/") else "page"


def _in_ray() -> bool:
    return "ray" in sys.modules and bool(sys.modules["ray"].is_initialized())


@cache
def _metric(name: str) -> Any:
    from ray.util import metrics

    kind, description, tags, boundaries = METRICS[name]
    more = {"boundaries": list(boundaries)} if kind == "Histogram" else {}
    return getattr(metrics, kind)(name, description=description, tag_keys=tags, **more)
