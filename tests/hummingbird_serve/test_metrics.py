"""What is counted, by which names and tags, and the line that each job has in the log."""

import asyncio
import json
import logging
import re
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from hummingbird_serve import metrics
from hummingbird_serve.api import build_api
from hummingbird_serve.keys import KeyRing
from hummingbird_serve.requests import ServedModel, VideoRequest, parse_request
from starlette.testclient import TestClient

from .conftest import FakeGenerator, make_jobs

Told = list[tuple[str, float, dict[str, str]]]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    """What would go to Ray: names, values and tags, which must be those that the metric was declared with."""
    found: Told = []

    class Recorder:
        def __init__(self, name: str) -> None:
            self.name = name

        def inc(self, value: float, tags: dict[str, str]) -> None:
            assert set(tags) == set(metrics.METRICS[self.name][2])
            found.append((self.name.removeprefix("hummingbird_serve_"), value, tags))

        set = observe = inc

    monkeypatch.setattr(metrics, "_in_ray", lambda: True)
    monkeypatch.setattr(metrics, "_metric", Recorder)
    return found


@pytest.fixture
def lines() -> Iterator[list[dict[str, Any]]]:
    found: list[dict[str, Any]] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(json.loads(record.getMessage()))

    handler, level = Keep(), metrics.job_log.level
    metrics.job_log.addHandler(handler)
    metrics.job_log.setLevel(logging.INFO)
    yield found
    metrics.job_log.removeHandler(handler)
    metrics.job_log.setLevel(level)


def test_every_job_is_counted_once_and_has_one_line(
    tmp_path: Path, request_: VideoRequest, told: Told, lines: list[dict[str, Any]]
) -> None:
    async def run() -> dict[str, str]:
        jobs = make_jobs(tmp_path, FakeGenerator())
        await jobs.start()
        made = {}
        for prompt in ("a circle", "fail"):
            video = await jobs.create(VideoRequest(**{**vars(request_), "prompt": prompt}))
            async for _ in jobs.watch(video):
                pass
            made[prompt] = video.id
        for prompt in ("stay", "unbegun"):
            made[prompt] = (await jobs.create(VideoRequest(**{**vars(request_), "prompt": prompt}))).id
        await jobs.cancel(made["unbegun"])
        while (await jobs.get(made["stay"])).status != "in_progress":
            await asyncio.sleep(0.01)
        await jobs.delete(made["stay"])
        await asyncio.sleep(0.05)
        await jobs.drain(1.0)
        return made

    made = asyncio.run(run())
    outcomes = {"a circle": "completed", "fail": "failed", "unbegun": "cancelled", "stay": "deleted"}
    assert {line["id"]: line["outcome"] for line in lines} == {made[p]: o for p, o in outcomes.items()}
    assert len(lines) == 4
    assert not any("circle" in json.dumps(line) for line in lines)  # prompts are nobody's business
    first = next(line for line in lines if line["outcome"] == "completed")
    assert (first["generation_seconds"], first["batch_size"], first["attempts"]) == (0.5, 1, 1)
    ends = Counter(tags["outcome"] for name, _, tags in told if name == "jobs")
    assert ends == dict.fromkeys(outcomes.values(), 1)
    assert [tags["code"] for name, _, tags in told if name == "failures"] == ["generation_failed"]
    assert sum(name == "wait_seconds" for name, _, _ in told) == 3
    assert ("queued", 0, {"model": "student"}) in told


def test_requests_are_counted_by_the_pattern_of_their_route(
    tmp_path: Path, models: dict[str, ServedModel], told: Told
) -> None:
    async def ready() -> bool:
        return True

    parse = partial(parse_request, models=models, max_prompt_characters=500, count_tokens=len)
    app = build_api(make_jobs(tmp_path), models, parse, KeyRing((), 3, b"secret"), ready, len)
    with TestClient(app, "http://127.0.0.1:8000") as http:
        http.get("/v1/videos/video_0")
        http.get("/v1/videos/video_0/content")
        http.get("/v1/nothing/here")
        http.get("/health", headers={"Host": "foreign.example"})
        http.request("ODD", "/some/path")
    counted = [tuple(tags.values()) for name, _, tags in told if name == "requests"]
    assert counted == [
        ("/v1/videos/{video_id}", "GET", "404"),
        ("/v1/videos/{video_id}/content", "GET", "404"),
        ("none", "GET", "404"),
        ("page", "GET", "403"),
        ("page", "other", "404"),
    ]


def test_the_metrics_are_those_that_the_documentation_names() -> None:
    text = (Path(__file__).parents[2] / "docs" / "serving.md").read_text()
    assert set(re.findall(r"`(hummingbird_serve_\w+)`", text)) == set(metrics.METRICS)


@pytest.mark.slow
def test_they_reach_prometheus(server: str) -> None:
    import ray

    httpx.post(f"{server}/v1/videos/sync", json={"prompt": "a red circle"}, timeout=60).raise_for_status()
    node = ray.nodes()[0]
    address = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
    wanted = set(metrics.METRICS) - {"hummingbird_serve_failures", "hummingbird_serve_requeued"}
    end = time.monotonic() + 120  # processes report every 10 seconds
    found: set[str] = set()
    while not wanted <= found and time.monotonic() < end:
        time.sleep(2)
        with urllib.request.urlopen(address, timeout=10) as answer:
            text = answer.read().decode()
        found = {name for name in wanted if re.search(rf"^ray_{name}(_total|_count)?{{", text, re.MULTILINE)}
    assert found == wanted
