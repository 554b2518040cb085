"""What is accepted comes to one end, whatever is killed: a real server, killed in several ways."""

import threading
import time
from pathlib import Path

import pytest
from serving_faults import SmallServer, check_files, hold, small_server, vanish

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("storage")


def pipelines(tiny: dict[str, Path]) -> Path:
    return tiny["student"].parent


def test_accepted_jobs_survive_a_killed_generator_a_killed_ingress_and_a_killed_server(
    storage: Path, tiny_pipelines: dict[str, Path]
) -> None:
    with small_server(storage, pipelines(tiny_pipelines)) as server:
        server.wait()
        ids = server.create(8)
        alone = {seed: server.content(server.create_one(seed)) for seed in range(3)}
        assert server.kill_replica("Generator") == 1
        ids += server.create(4)
        videos = server.ends(ids)
        assert {video["status"] for video in videos.values()} == {"completed"}
        ids += server.create(8)
        assert server.kill_replica("Ingress") == 1
        server.ends(ids)
        more = server.create(8, steps=50, model="teacher")
        server.kill()
    with small_server(storage, pipelines(tiny_pipelines)) as server:
        started = time.monotonic()
        server.wait()
        assert time.monotonic() - started < 120
        videos = server.ends([*ids, *more])
        assert {video["status"] for video in videos.values()} == {"completed"}
        check_files(storage, videos)
        for name in ids:
            assert server.content(name) == alone[videos[name]["seed"]]


def test_a_second_server_shares_the_queue_and_its_stop_fails_nothing(
    storage: Path, tiny_pipelines: dict[str, Path]
) -> None:
    with (
        small_server(storage, pipelines(tiny_pipelines)) as first,
        small_server(storage, pipelines(tiny_pipelines)) as second,
    ):
        first.wait()
        second.wait()
        ids = first.create(20) + second.create(10)
        stopped: list[int] = []
        stopping = threading.Thread(target=lambda: stopped.append(second.terminate()))
        stopping.start()
        videos = first.ends(ids)
        stopping.join()
        assert {video["status"] for video in videos.values()} == {"completed"}
        check_files(storage, videos)
        assert stopped == [0]


def test_clients_that_vanish_or_hold_connections_stop_nobody(
    storage: Path, tiny_pipelines: dict[str, Path]
) -> None:
    with small_server(
        storage, pipelines(tiny_pipelines), request_seconds=5.0, max_client_connections=50
    ) as server:
        server.wait()
        vanish(server, 20)
        half = b"POST /v1/videos HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 90\r\n\r\n{"
        held = [*hold(server, 150, b""), *hold(server, 150, half)]
        time.sleep(6)  # those that were taken in are closed by now
        assert all(video["status"] == "completed" for video in server.ends(server.create(3)).values())
        for one in held:
            one.close()
        until = time.monotonic() + 30
        while any(video["status"] in ("queued", "in_progress") for video in listed(server)):
            assert time.monotonic() < until
            time.sleep(0.2)


def listed(server: SmallServer) -> list[dict[str, object]]:
    videos: list[dict[str, object]] = server.client.get("/v1/videos", params={"limit": 100}).json()["data"]
    return videos
