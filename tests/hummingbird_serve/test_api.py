"""The routes, without Ray: forms of answers, ranges, paging, and who is let in."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hummingbird_serve.answers import VideoObject
from hummingbird_serve.api import build_api
from hummingbird_serve.guard import MAX_BODY_BYTES
from hummingbird_serve.keys import ApiKey, KeyRing, hashed
from hummingbird_serve.requests import ServedModel, parse_request
from starlette.testclient import TestClient

from .conftest import MP4, PICTURE, make_jobs


@pytest.fixture
def client(tmp_path: Path, models: dict[str, ServedModel]) -> Iterator[Callable[..., TestClient]]:
    opened = []

    async def ready() -> bool:
        return True

    def make(
        token: str | None = None,
        hosts: Sequence[str] = (),
        limits: dict[str, int] | None = None,
        **settings: Any,
    ) -> TestClient:
        jobs = make_jobs(tmp_path, **{"max_queued": 4, "drain_seconds": 0.01, **settings})
        parse = partial(parse_request, models=models, max_prompt_characters=500, count_tokens=len)
        own = [ApiKey(name="own", sha256=hashed(token), **limits or {})] if token else []
        app = build_api(jobs, models, parse, KeyRing(own, 3, b"secret"), ready, hosts)
        # Entered, the client keeps one event loop, in which the videos are made.
        opened.append(TestClient(app, "http://127.0.0.1:8000", follow_redirects=False).__enter__())
        opened[-1].jobs = jobs  # type: ignore[attr-defined]
        return opened[-1]

    yield make
    for client in opened:
        client.__exit__(None, None, None)


def finished(client: TestClient, prompt: str = "circle") -> str:
    video = client.post("/v1/videos", json={"prompt": prompt}).json()
    while client.get(f"/v1/videos/{video['id']}").json()["status"] in ("queued", "in_progress"):
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


def test_content_before_its_time_is_not_there_and_not_asked_for_blindly(
    client: Callable[..., TestClient],
) -> None:
    http = client()
    video = http.post("/v1/videos", json={"prompt": "stay"}).json()
    refused = http.get(f"/v1/videos/{video['id']}/content")
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, "video_not_ready")
    assert refused.headers["x-should-retry"] == "false"
    assert http.get(f"/v1/videos/{finished(http, 'fail')}/content").json()["error"]["code"] == "video_failed"


def test_a_client_that_has_the_file_gets_304(client: Callable[..., TestClient]) -> None:
    http = client()
    path = f"/v1/videos/{finished(http)}/content"
    tag = http.get(path).headers["etag"]
    for known in (tag, f'W/{tag}, "other"', "*"):
        answer = http.get(path, headers={"If-None-Match": known})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
    assert http.get(path, headers={"If-None-Match": '"other"'}).status_code == 200
    assert http.head(path).headers["content-length"] == str(len(MP4))


def test_the_thumbnail_is_a_variant_of_the_content(client: Callable[..., TestClient]) -> None:
    http = client()
    path = f"/v1/videos/{finished(http)}/content"
    picture = http.get(path, params={"variant": "thumbnail"})
    assert (picture.content, picture.headers["content-type"]) == (PICTURE, "image/webp")
    assert http.get(path, params={"variant": "spritesheet"}).status_code == 400


def test_a_vanished_file_is_an_error_of_the_apis_form(
    client: Callable[..., TestClient], tmp_path: Path
) -> None:
    http = client()
    name = finished(http)
    (tmp_path / "videos" / f"{name}.1.mp4").unlink()
    lost = http.get(f"/v1/videos/{name}/content")
    assert (lost.status_code, lost.json()["error"]["code"]) == (404, "content_lost")


def test_events_tell_every_step(client: Callable[..., TestClient]) -> None:
    http = client()
    video = http.post("/v1/videos", json={"prompt": "slow", "steps": 3}).json()
    with http.stream("GET", f"/v1/videos/{video['id']}/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        text = "".join(stream.iter_text())
    events = re.findall("id: (.*)\nevent: (.*)\ndata: (.*)\n\n", text)
    answers = [VideoObject.model_validate_json(data) for *_, data in events]
    assert [name for _, name, _ in events] == [answer.status for answer in answers]
    assert answers[-1].status == "completed"
    steps = [answer.step for answer in answers if answer.status == "in_progress"]
    assert steps == list(range(steps[0], 4))


def test_the_sync_route_answers_with_the_file(client: Callable[..., TestClient]) -> None:
    http = client()
    made = http.post("/v1/videos/sync", json={"prompt": "x", "seed": 3})
    assert (made.status_code, made.content, made.headers["hummingbird-seed"]) == (200, MP4, "3")
    video = http.get(f"/v1/videos/{made.headers['hummingbird-video-id']}").json()
    assert video["status"] == "completed"
    failed = http.post("/v1/videos/sync", json={"prompt": "fail"})
    assert (failed.status_code, failed.json()["error"]["message"]) == (500, "no")


def test_a_cancelled_video_is_its_own_state(client: Callable[..., TestClient]) -> None:
    http = client()
    video = http.post("/v1/videos", json={"prompt": "stay"}).json()
    for _ in range(2):
        assert http.post(f"/v1/videos/{video['id']}/cancel").json()["status"] == "cancelled"
    assert http.post(f"/v1/videos/{finished(http)}/cancel").json()["error"]["code"] == "video_finished"


def test_a_remix_has_the_seed_of_its_source(client: Callable[..., TestClient]) -> None:
    http = client()
    source = http.post("/v1/videos", json={"prompt": "x", "seed": 5, "steps": 3, "user": "me"}).json()
    remix = http.post(f"/v1/videos/{source['id']}/remix", json={"prompt": "y"}).json()
    assert remix["remixed_from_video_id"] == source["id"] != remix["id"]
    assert [remix[name] for name in ("prompt", "seed", "steps", "user")] == ["y", 5, 3, "me"]
    assert http.post(f"/v1/videos/{source['id']}/remix", json={}).json()["error"]["param"] == "prompt"
    assert http.post(f"/v1/videos/{source['id']}/remix", json={"prompt": "y", "seed": 1}).status_code == 400


def test_an_idempotency_key_makes_one_video(client: Callable[..., TestClient]) -> None:
    http = client()
    sent = [
        http.post("/v1/videos", json={"prompt": prompt}, headers={"Idempotency-Key": "k"})
        for prompt in ("x", "x", "y")
    ]
    assert sent[0].json()["id"] == sent[1].json()["id"]
    assert sent[0].json()["seed"] == sent[1].json()["seed"]
    assert (sent[2].status_code, sent[2].headers["x-should-retry"]) == (409, "false")


def test_a_method_that_a_path_does_not_have_is_named_so(client: Callable[..., TestClient]) -> None:
    http = client()
    for method, path, allowed in (
        ("PUT", "/v1/videos", {"GET", "POST"}),
        ("DELETE", "/v1/models", {"GET"}),
        ("PATCH", "/v1/videos/x", {"GET", "DELETE"}),
    ):
        refused = http.request(method, path)
        assert refused.status_code == 405
        assert set(refused.headers["allow"].split(", ")) == allowed
        assert refused.json()["error"]["type"] == "invalid_request_error"


def test_the_openapi_document_is_true(client: Callable[..., TestClient]) -> None:
    http = client()
    document = http.get("/openapi.json").json()
    assert "ValidationError" not in json.dumps(document)
    paths = document["paths"]
    assert "422" not in json.dumps([list(o["responses"]) for path in paths.values() for o in path.values()])
    created = paths["/v1/videos"]["post"]["responses"]
    assert created["200"]["content"]["application/json"]["schema"]["$ref"].endswith("/VideoObject")
    assert {"400", "401", "404", "409", "413", "415", "429", "503", "507"} <= set(created)
    properties = document["components"]["schemas"]["VideoObject"]["properties"]
    assert set(http.post("/v1/videos", json={"prompt": "x"}).json()) == set(properties)


def test_the_reference_loads_nothing_and_names_every_route(client: Callable[..., TestClient]) -> None:
    http = client()
    page = http.get("/docs").text
    for path in http.get("/openapi.json").json()["paths"]:
        assert path in page
    assert re.findall(r"<script|<link|src=|@import|https?://", page) == []


def test_health_is_alive_and_ready_is_ready(client: Callable[..., TestClient]) -> None:
    http = client()
    assert http.get("/health").json() == {"status": "ok", "storage": "ok", "ready": True}
    assert http.get("/ready").status_code == 200
    http.jobs.draining = True  # type: ignore[attr-defined]
    assert (http.get("/health").status_code, http.get("/ready").status_code) == (200, 503)
    refused = http.post("/v1/videos", json={"prompt": "x"})
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")


def test_a_full_storage_is_507(client: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    http = client()

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(http.jobs.store.state, "create", full)  # type: ignore[attr-defined]
    monkeypatch.setattr(http.jobs.store, "probe", full)  # type: ignore[attr-defined]
    for _ in range(2):
        refused = http.post("/v1/videos", json={"prompt": "x"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (507, "storage_full")
    assert http.get("/health").json()["storage"] == "full"
    assert http.get("/ready").status_code == 503
    assert http.get("/v1/videos").json()["data"] == []


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


def test_reads_by_other_sites_pages_are_refused(client: Callable[..., TestClient]) -> None:
    http = client()
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        refused = http.get("/v1/videos", headers=headers)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "foreign_origin")
        assert "access-control-allow-origin" not in refused.headers
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert http.get("/docs", headers=link).status_code == 200


def test_every_answer_has_the_headers_of_protection(client: Callable[..., TestClient]) -> None:
    http = client()
    for path in ("/docs", "/v1/models", "/v1/nothing"):
        headers = http.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]


def test_a_server_with_keys_asks_for_one(client: Callable[..., TestClient]) -> None:
    http = client(token="secret")
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "secret"}):
        refused = http.get("/v1/models", headers=headers)
        assert (refused.status_code, refused.json()["error"]["type"]) == (401, "authentication_error")
    assert http.get("/docs").status_code == 401
    assert http.get("/v1/models", headers={"Authorization": "Bearer secret"}).status_code == 200
    assert http.get("/health").status_code == 200


def test_a_server_with_keys_checks_host_and_origin_too(client: Callable[..., TestClient]) -> None:
    http = client(token="secret", hosts=["gpu.example"])
    key = {"Authorization": "Bearer secret"}
    hosts = {
        "gpu.example:8000": 200,
        "10.0.0.7:8000": 200,
        "[::1]:8000": 200,
        "localhost": 200,
        "evil.example": 403,
    }
    for host, status in hosts.items():
        assert http.get("/v1/models", headers={**key, "Host": host}).status_code == status
    foreign = {**key, "Host": "gpu.example", "Origin": "https://evil.example"}
    assert http.post("/v1/videos", json={"prompt": "x"}, headers=foreign).status_code == 403


def test_guesses_are_limited_but_who_was_right_before_goes_on(client: Callable[..., TestClient]) -> None:
    http = client(token="secret")
    right = {"Authorization": "Bearer secret"}
    assert http.get("/v1/models", headers=right).status_code == 200
    answers = [http.get("/v1/models", headers={"Authorization": f"Bearer {n}"}) for n in range(5)]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429, 429]
    assert 0 < int(answers[-1].headers["retry-after"]) <= 61
    assert http.get("/v1/models", headers=right).status_code == 200
    assert http.post("/login", data={"key": "another"}).status_code == 429


def test_a_key_has_limits_of_its_own(client: Callable[..., TestClient]) -> None:
    http = client(token="secret", limits={"requests_per_minute": 3, "max_queued": 1})
    key = {"Authorization": "Bearer secret"}
    answers = [http.post("/v1/videos", json={"prompt": "stay"}, headers=key).json() for _ in range(4)]
    assert [(answer.get("error") or {}).get("code") for answer in answers] == [
        None,
        "key_queue_full",
        "key_queue_full",
        "rate_limit_exceeded",
    ]


def test_a_browser_logs_in_and_its_cookie_is_of_no_use_to_other_sites(
    client: Callable[..., TestClient],
) -> None:
    http = client(token="secret")
    page = http.get("/", headers={"Accept": "text/html"})
    assert (page.status_code, page.headers["location"]) == (303, "/login")
    assert http.post("/login", data={"key": "wrong"}).status_code == 401
    inside = http.post("/login", data={"key": "secret"})
    assert (inside.status_code, inside.headers["location"]) == (303, "/")
    cookie = inside.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert http.get("/v1/models").status_code == 200  # the client sends its cookie
    foreign = {"Origin": "https://evil.example"}
    assert http.post("/v1/videos", json={"prompt": "x"}, headers=foreign).status_code == 403
    session = http.cookies["hummingbird_session"].strip('"')
    http.cookies.clear()
    for forged in (
        session[:-1] + ("0" if session[-1] != "0" else "1"),
        session.replace("own", "root"),
        "x",
        "",
    ):
        assert http.get("/v1/models", headers={"Cookie": f"hummingbird_session={forged}"}).status_code == 401
