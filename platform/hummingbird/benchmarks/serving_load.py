"""Load on a server: clients that wait for videos, and what is asked of the server meanwhile."""

import itertools
import math
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx

PROBED = ("/v1/models", "/health")
PROBE_SECONDS = 0.1
"""Pause between two questions of the probe."""


class LatencyProbe:
    """Asks the server the same questions again and again; each in a thread of its own, as clients would."""

    def __init__(self, url: str) -> None:
        self._url, self._over = url, threading.Event()
        self.seconds: dict[str, list[float]] = {path: [] for path in PROBED}
        self.refused = Counter[str]()
        """Questions that were not answered with 200, by path."""

    def __enter__(self) -> "LatencyProbe":
        self._threads = [threading.Thread(target=self._ask, args=(path,)) for path in PROBED]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, path: str) -> None:
        with httpx.Client(base_url=self._url, timeout=60) as client:
            while not self._over.is_set():
                started = time.perf_counter()
                try:
                    answered = client.get(path).status_code == 200
                except httpx.HTTPError:
                    answered = False
                self.seconds[path].append(time.perf_counter() - started)
                self.refused[path] += not answered
                self._over.wait(PROBE_SECONDS)

    def figures(self) -> dict[str, dict[str, float]]:
        """Seconds and refusals by path."""
        return {
            path: {**spread(seconds), "asked": len(seconds), "refused": self.refused[path]}
            for path, seconds in self.seconds.items()
        }


def load(url: str, clients: int, videos: int, prompts: Sequence[str], seconds: float) -> dict[str, Any]:
    """Has ``videos`` made by ``clients`` that each wait for their file before they ask for the next.

    Returns:
        ``seconds`` of the whole, ``videos_per_second``, ``wait`` (median, p95 and largest seconds from POST to file),
        ``passes`` (how many of each batch size), and of the probed paths the same as of ``wait``.

    Raises:
        RuntimeError: a video was not made within ``seconds``.
    """
    numbers = itertools.count()

    def make(_: int) -> tuple[float, int]:
        number = next(numbers)
        body = {"prompt": prompts[number % len(prompts)], "seed": number}
        started = time.perf_counter()
        with httpx.Client(base_url=url, timeout=seconds) as client:
            answer = client.post("/v1/videos/sync", json=body)
            waited = time.perf_counter() - started
            if answer.status_code != 200:
                raise RuntimeError(f"a video was not made: {answer.status_code} {answer.text[:200]}")
            video = client.get(f"/v1/videos/{answer.headers['Hummingbird-Video-Id']}").json()
        return waited, int(video["batch_size"])

    with LatencyProbe(url) as probe, ThreadPoolExecutor(clients) as threads:
        started = time.perf_counter()
        made = list(threads.map(make, range(videos)))
        taken = time.perf_counter() - started
    shared = Counter(size for _, size in made)
    return {
        "clients": clients,
        "videos": videos,
        "seconds": taken,
        "videos_per_second": videos / taken,
        "wait": spread([waited for waited, _ in made]),
        "passes": {size: round(count / size) for size, count in sorted(shared.items())},
        "probes": probe.figures(),
    }


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, 95th percentile (the smallest value that 95 % do not exceed) and largest."""
    ordered = sorted(values)
    p95 = ordered[math.ceil(0.95 * len(ordered)) - 1]
    return {"median": statistics.median(ordered), "p95": p95, "largest": ordered[-1]}


def offline_share(measured: Mapping[str, Any], seconds: Mapping[int, float], replicas: int) -> float:
    """The time that the same passes take offline, over the time they took; replicas share the work evenly."""
    work = sum(count * seconds[size] for size, count in measured["passes"].items())
    return float(work / replicas / measured["seconds"])


@contextmanager
def busy_cores(count: int) -> Iterator[None]:
    """Other processes that want ``count`` cores."""
    # A share of the memory bandwidth too, as real neighbors take.
    code = "import numpy as np\na = np.ones((400, 400))\nwhile True: a @ a"
    environment = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    processes = [subprocess.Popen([sys.executable, "-c", code], env=environment) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()
