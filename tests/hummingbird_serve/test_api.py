"""The routes, without Ray: forms of answers, ranges, paging, and who is let in."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from hummingbird_serve.api import MAX_BODY_BYTES, build_api
from hummingbird_serve.requests import Event, Progress, Result, ServedModel, VideoRequest, parse_request
from hummingbird_serve.videos import VideoJobs, VideoStore
from starlette.testclient import TestClient

MP4 = bytes(range(256)) * 4


@pytest.fixture
def client(tmp_path: Path, models: dict[str, ServedModel]) -> Iterator[Callable[..., TestClient]]:
    opened = []

    async def generate(request: VideoRequest) -> AsyncIterator[Event]:
        yield Progress(0, request.steps)
        if request.prompt == "stay":
            await asyncio.Event().wait()
        yield Result(MP4, 0.1, 1)

    async def ready() -> bool:
        return True

    def make(token: str | None = None, max_queued: int = 4) -> TestClient:
        jobs = VideoJobs(VideoStore(tmp_path, 9, 60), {"student": generate}, max_queued)
        parse = partial(parse_request, models=models, max_prompt_characters=500, count_tokens=len)
        app = build_api(jobs, models, parse, token, ready)
        # Entered, the client keeps one event loop, in which the videos are made.
        opened.append(TestClient(app, "http://127.0.0.1:8000").__enter__())
        return opened[-1]

    yield make
    for client in opened:
        client.__exit__(None, None, None)


def finished(client: TestClient, prompt: str = "circle") -> str:
    video = client.post("/v1/videos", json={"prompt": prompt}).json()
    while client.get(f"/v1/videos/{video['id']}").json()["status"] != "completed":
        pass
    return str(video["id"])


def test_json_and_forms_are_read(client: Callable[..., TestClient]) -> None:
    by_json = client().post("/v1/videos", json={"prompt": "x", "seed": 3}).json()
    by_form = client().post("/v1/videos", data={"prompt": "x", "seed": "3"}).json()
    by_parts = client().post("/v1/videos", files={"prompt": (None, "x"), "seed": (None, "3")}).json()
    for video in (by_json, by_form, by_parts):
        assert (video["object"], video["status"], video["prompt"], video["seed"]) == (
            "video",
            "queued",
            "x",
            3,
        )


def test_ranges_of_the_content_are_served(client: Callable[..., TestClient]) -> None:
    http = client()
    path = f"/v1/videos/{finished(http)}/content"
    whole = http.get(path)
    assert (whole.status_code, whole.content) == (200, MP4)
    assert whole.headers["content-type"] == "video/mp4"
    part = http.get(path, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, MP4[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(MP4)}"
    assert http.get(path, headers={"Range": "bytes=99999-"}).status_code == 416


def test_videos_are_listed_in_pages(client: Callable[..., TestClient]) -> None:
    http = client()
    ids = [finished(http) for _ in range(3)]
    page = http.get("/v1/videos", params={"limit": 2}).json()
    assert ([video["id"] for video in page["data"]], page["has_more"]) == ([ids[2], ids[1]], True)
    rest = http.get("/v1/videos", params={"limit": 2, "after": page["last_id"]}).json()
    assert ([video["id"] for video in rest["data"]], rest["has_more"]) == ([ids[0]], False)
    assert http.get("/v1/videos", params={"limit": 0}).status_code == 400


def test_a_deleted_video_is_gone(client: Callable[..., TestClient]) -> None:
    http = client()
    name = finished(http)
    assert http.delete(f"/v1/videos/{name}").json() == {
        "id": name,
        "object": "video.deleted",
        "deleted": True,
    }
    assert http.get(f"/v1/videos/{name}").status_code == 404
    assert http.delete(f"/v1/videos/{name}").status_code == 404


def test_content_before_its_time_is_a_conflict(client: Callable[..., TestClient]) -> None:
    http = client()
    video = http.post("/v1/videos", json={"prompt": "stay"}).json()
    refused = http.get(f"/v1/videos/{video['id']}/content")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "video_not_ready")


def test_a_full_queue_says_when_to_come_again(client: Callable[..., TestClient]) -> None:
    http = client(max_queued=1)
    http.post("/v1/videos", json={"prompt": "stay"})
    refused = http.post("/v1/videos", json={"prompt": "x"})
    assert (refused.status_code, refused.json()["error"]["type"]) == (429, "rate_limit_error")
    assert refused.headers["retry-after"].isdigit()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/videos/video_unknown", 404),
        ("GET", "/v1/videos/..%2f..%2fetc%2fpasswd/content", 404),
        ("GET", "/v1/nothing", 404),
        ("POST", "/v1/images", 404),
        ("GET", "/v1/models/nothing", 404),
    ],
)
def test_errors_have_openais_form(
    client: Callable[..., TestClient], method: str, path: str, status: int
) -> None:
    answer = client().request(method, path)
    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[1]", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"[" * 10_000, "application/json", 400),
        (b'{"prompt": "\\ud800"}', "application/json", 400),
        (b"prompt", "text/plain", 415),
        (b"--x\r\nnonsense", "multipart/form-data; boundary=x", 400),
        (b"x" * (MAX_BODY_BYTES + 1), "application/json", 413),
    ],
)
def test_bad_bodies_are_refused(
    client: Callable[..., TestClient], body: bytes, kind: str, status: int
) -> None:
    answer = client().post("/v1/videos", content=body, headers={"Content-Type": kind})
    assert answer.status_code == status
    assert "message" in answer.json()["error"]


def test_a_body_without_its_length_is_bounded_too(client: Callable[..., TestClient]) -> None:
    parts = (b"x" * 1000 for _ in range(100))
    answer = client().post("/v1/videos", content=parts, headers={"Content-Type": "application/json"})
    assert answer.status_code == 413


def test_a_local_server_answers_only_to_local_pages(client: Callable[..., TestClient]) -> None:
    http = client()
    assert http.get("/v1/models", headers={"Host": "evil.example:8000"}).status_code == 403
    written = {"json": {"prompt": "x"}, "headers": {"Origin": "https://evil.example"}}
    assert http.post("/v1/videos", **written).status_code == 403
    written["headers"] = {"Origin": "http://127.0.0.1:8000"}
    assert http.post("/v1/videos", **written).status_code == 200


def test_addresses_that_are_none_are_foreign(client: Callable[..., TestClient]) -> None:
    http = client()
    assert http.get("/v1/models", headers={"Host": "[::1"}).status_code == 403
    written = http.post("/v1/videos", json={"prompt": "x"}, headers={"Origin": "http://[::1"})
    assert written.status_code == 403


def test_a_server_with_a_token_asks_for_it(client: Callable[..., TestClient]) -> None:
    http = client(token="secret")
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "secret"}):
        refused = http.get("/v1/models", headers={**headers, "Host": "gpu.example"})
        assert (refused.status_code, refused.json()["error"]["type"]) == (401, "authentication_error")
    right = {"Authorization": "Bearer secret", "Host": "gpu.example"}
    assert http.get("/v1/models", headers=right).status_code == 200
    assert http.get("/health").json() == {"status": "ok"}
