"""The whole server on Ray Serve, through the client that its users have."""

import io
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import openai
import pytest
from hummingbird.models.video import read_mp4
from numpy.typing import NDArray

PROMPT = "a red circle moving left"


@pytest.fixture
def client(server: str) -> Iterator[openai.OpenAI]:
    with warnings.catch_warnings():
        # The client announces the end of OpenAI's own service; the form lives on.
        warnings.simplefilter("ignore", DeprecationWarning)
        with openai.OpenAI(base_url=f"{server}/v1", api_key="none", max_retries=0, timeout=60) as opened:
            yield opened


def test_the_openai_client_makes_a_video_and_downloads_it(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["student", "teacher"]
    video = client.videos.create(
        prompt=PROMPT, model="student", size="64x64", extra_body={"seed": 7, "steps": 3}
    )
    assert video.status in ("queued", "in_progress")
    video = client.videos.poll(video.id, poll_interval_ms=100)
    assert (video.status, video.progress, video.error) == ("completed", 100, None)
    assert client.videos.list(limit=1).data[0].id == video.id
    frames, fps = read_mp4(io.BytesIO(client.videos.download_content(video.id).read()))
    assert (frames.shape, fps) == ((4, 64, 64, 3), 8.0)
    assert client.videos.delete(video.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.videos.retrieve(video.id)


def test_the_same_seed_makes_the_same_video_also_in_a_batch(client: openai.OpenAI) -> None:
    def make(seed: int) -> tuple[NDArray[np.int16], int]:
        video = client.videos.create(prompt=PROMPT, extra_body={"seed": seed})
        video = client.videos.poll(video.id, poll_interval_ms=100)
        content = client.videos.download_content(video.id).read()
        size = video.model_extra["batch_size"] if video.model_extra else 0
        return read_mp4(io.BytesIO(content))[0].astype(np.int16), size

    def far(one: NDArray[np.int16], other: NDArray[np.int16]) -> float:
        return float(np.abs(one - other).mean())

    alone = make(1)[0]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(make, (1, 2, 3, 1)))
    # Sums in another order differ in their last bits, which rounding may turn into one step of gray.
    assert max(far(alone, together[0][0]), far(alone, together[3][0])) < 1 < far(alone, together[1][0])
    assert max(size for _, size in together) > 1


@pytest.mark.slow
def test_the_teacher_starts_when_it_is_asked_for(client: openai.OpenAI) -> None:
    video = client.videos.create_and_poll(prompt=PROMPT, model="teacher", poll_interval_ms=200)
    assert (video.status, video.model) == ("completed", "teacher")


def test_bad_input_is_refused_and_nothing_hangs(client: openai.OpenAI) -> None:
    for fields in ({"prompt": "x" * 10_000}, {"prompt": "x", "extra_body": {"num_frames": 100_000}}):
        with pytest.raises(openai.BadRequestError):
            client.videos.create(**fields)
    with pytest.raises(openai.NotFoundError, match="no model"):
        client.videos.create(prompt="x", model="sora-2")
    with pytest.raises(openai.APIStatusError) as refused:
        client.videos.create(prompt="x" * 100_000)
    assert refused.value.status_code == 413


def test_more_than_the_queue_holds_is_refused(client: openai.OpenAI) -> None:
    created = []

    def fill() -> None:
        for _ in range(20):
            created.append(client.videos.create(prompt=PROMPT, model="teacher", extra_body={"steps": 50}))

    with pytest.raises(openai.RateLimitError, match="videos are waiting"):
        fill()
    for video in created:
        client.videos.delete(video.id)
    started = time.monotonic()
    assert client.videos.create_and_poll(prompt=PROMPT, poll_interval_ms=100).status == "completed"
    assert time.monotonic() - started < 30


def test_the_page_is_served(client: openai.OpenAI, server: str) -> None:
    import httpx

    page = httpx.get(server, timeout=30)
    assert page.status_code == 200
    assert "gradio" in page.text
    health = httpx.get(f"{server}/health", timeout=30)
    assert health.json() == {"status": "ok", "storage": "ok", "ready": True}
    assert httpx.get(f"{server}/ready", timeout=30).status_code == 200
