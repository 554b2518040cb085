"""The store keeps within its bounds and survives a restart; the jobs make, refuse and give up videos."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from hummingbird_serve.requests import APIError, Event, Failure, Progress, Result, VideoRequest
from hummingbird_serve.videos import Video, VideoJobs, VideoStore

RESULT = Result(b"mp4", 0.5, 1)


def finished(store: VideoStore, request: VideoRequest) -> Video:
    video = store.add(request)
    store.complete(video, RESULT)
    return video


def test_ids_are_the_servers_own(tmp_path: Path, request_: VideoRequest) -> None:
    video = finished(VideoStore(tmp_path, 9, 60), replace(request_, prompt="../../etc/passwd"))
    assert {path.name for path in tmp_path.iterdir()} == {f"{video.id}.mp4", f"{video.id}.json"}


def test_the_oldest_finished_video_makes_room(tmp_path: Path, request_: VideoRequest) -> None:
    store = VideoStore(tmp_path, 2, 60)
    waiting = store.add(request_)
    first, second = finished(store, request_), finished(store, request_)
    assert [video.id for video in store.all()] == [waiting.id, second.id]
    with pytest.raises(APIError):
        store.get(first.id)
    assert len(list(tmp_path.glob("*.mp4"))) == 1


def test_no_video_goes_while_there_is_room(tmp_path: Path, request_: VideoRequest) -> None:
    store = VideoStore(tmp_path, 4, 60)
    videos = [finished(store, request_) for _ in range(4)]
    assert store.all() == videos
    last = finished(store, request_)
    assert store.all() == [*videos[1:], last]


def test_a_video_expires(tmp_path: Path, request_: VideoRequest) -> None:
    now = 1000.0
    store = VideoStore(tmp_path, 9, 60, clock=lambda: now)
    video = finished(store, request_)
    assert video.expires_at == 1060
    now = 1060.0
    assert store.all() == []
    assert list(tmp_path.iterdir()) == []


def test_a_restart_keeps_what_was_finished_and_fails_the_rest(tmp_path: Path, request_: VideoRequest) -> None:
    store = VideoStore(tmp_path, 9, 60)
    done, waiting = finished(store, request_), store.add(request_)
    again = VideoStore(tmp_path, 9, 60)
    assert again.get(done.id) == done
    assert again.content(done).read_bytes() == b"mp4"
    assert again.get(waiting.id).status == "failed"
    assert "stopped" in str(again.get(waiting.id).as_json()["error"])


def test_a_video_that_cannot_be_read_does_not_keep_the_server_from_starting(
    tmp_path: Path, request_: VideoRequest
) -> None:
    store = VideoStore(tmp_path, 9, 60)
    whole, other, damaged, lost = (finished(store, request_) for _ in range(4))
    record = tmp_path / f"{other.id}.json"
    record.write_text(record.read_text().replace('"fps"', '"frame_rate"'))  # of another version
    (tmp_path / f"{damaged.id}.json").write_text("{")
    (tmp_path / f"{lost.id}.mp4").unlink()
    assert VideoStore(tmp_path, 9, 60).all() == [whole]
    assert {path.name for path in tmp_path.iterdir()} == {f"{whole.id}.mp4", f"{whole.id}.json"}


def jobs(folder: Path, *events: Event, gate: asyncio.Event | None = None, max_queued: int = 9) -> VideoJobs:
    async def generate(_: VideoRequest) -> AsyncIterator[Event]:
        for event in events:
            yield event
            if gate is not None:
                await gate.wait()

    return VideoJobs(VideoStore(folder, 9, 60), {"student": generate}, max_queued)


def test_a_video_is_made_with_progress(tmp_path: Path, request_: VideoRequest) -> None:
    async def run() -> None:
        work = jobs(tmp_path, Progress(0, 2), Progress(1, 2), RESULT)
        video = work.create(request_)
        assert video.status == "queued"
        async for _ in work.watch(video):
            pass
        assert (video.status, video.progress, video.generation_seconds) == ("completed", 100, 0.5)

    asyncio.run(run())


@pytest.mark.parametrize(("events", "message"), [((Failure("no"),), "no"), ((), "without a video")])
def test_a_failure_is_the_videos(
    tmp_path: Path, request_: VideoRequest, events: tuple[Event, ...], message: str
) -> None:
    async def run() -> None:
        work = jobs(tmp_path, *events)
        video = work.create(request_)
        async for _ in work.watch(video):
            pass
        assert video.status == "failed"
        assert message in str(video.error)

    asyncio.run(run())


def test_the_queue_is_bounded_and_a_deleted_video_leaves_it(tmp_path: Path, request_: VideoRequest) -> None:
    async def run() -> None:
        work = jobs(tmp_path, Progress(0, 2), RESULT, gate=asyncio.Event(), max_queued=1)
        video = work.create(request_)
        await asyncio.sleep(0)
        with pytest.raises(APIError) as refused:
            work.create(request_)
        assert refused.value.status == 429
        work.delete(video.id)
        work.create(request_)
        assert len(work.store.all()) == 1

    asyncio.run(run())
