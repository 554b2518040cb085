"""Every accepted job comes to one end: through restarts, lost generators, other servers and a full disk."""

import asyncio
import errno
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hummingbird_serve.jobs import Asker, VideoJobs
from hummingbird_serve.requests import APIError, Event, Result, VideoRequest
from hummingbird_serve.state import FolderState
from hummingbird_serve.videos import Video

from .conftest import MP4, PICTURE, FakeGenerator, make_jobs


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


async def finish(jobs: VideoJobs, video: Video) -> str:
    async with asyncio.timeout(10):
        async for _ in jobs.watch(video):
            pass
    return video.status


def kill(jobs: VideoJobs) -> None:
    """As SIGKILL would: nothing is given back, no sign of life comes any more."""
    assert jobs._loop is not None
    for task in (jobs._loop, *jobs._tasks.values()):
        task.cancel()
    jobs.draining = True


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await test()

    asyncio.run(bounded())


def left(folder: Path) -> set[str]:
    """Names of all files but signs of life."""
    names = {path.name for part in ("jobs", "videos") for path in (folder / part).iterdir()}
    return {name for name in names if not name.startswith("owner_")}


def test_a_video_is_made_and_every_step_told(tmp_path: Path, request_: VideoRequest) -> None:
    async def test() -> None:
        jobs = make_jobs(tmp_path)
        await jobs.start()
        video = await jobs.create(request_)
        told = [(answer.status, answer.step) async for answer in jobs.watch(video)]
        assert told == [
            ("queued", 0), ("in_progress", 0), ("in_progress", 1), ("in_progress", 2), ("completed", 2)
        ]  # fmt: skip
        assert jobs.content(video).read_bytes() == MP4
        assert jobs.content(video, "webp").read_bytes() == PICTURE
        assert jobs.queues["student"].step_seconds == 0.25

    run(test)


def test_what_a_killed_server_accepted_is_made_by_the_next(tmp_path: Path, request_: VideoRequest) -> None:
    async def test() -> None:
        first = make_jobs(tmp_path)
        await first.start()
        done = await first.create(replace(request_, prompt="done"))
        await finish(first, done)
        working = await first.create(replace(request_, prompt="stay"))
        waiting = [await first.create(replace(request_, prompt="unbegun")) for _ in range(3)]
        await until(lambda: working.done == 0)
        # Its sign of life says that the making has begun.
        await until(lambda: working.id in first.store.look((), (), "").owners[first.owner][1])
        kill(first)
        generator = FakeGenerator()
        generator.gate.set()
        second = make_jobs(tmp_path, generator)
        await second.start()
        assert {video.id for video in second.all()} == {v.id for v in (done, working, *waiting)}
        for video in second.all():
            assert await finish(second, video) == "completed"
        assert sorted(generator.begun) == ["stay", *["unbegun"] * 3]
        assert second.describe(await second.get(working.id)).attempts == 1
        assert generator.alone[generator.begun.index("stay")]

    run(test)


def test_a_second_server_shares_the_queue_and_fails_nothing(tmp_path: Path, request_: VideoRequest) -> None:
    async def test() -> None:
        makers = FakeGenerator(), FakeGenerator()
        one, other = (make_jobs(tmp_path, maker) for maker in makers)
        await one.start()
        stays = [await one.create(replace(request_, prompt="stay")) for _ in range(5)]
        await other.start()
        await until(lambda: len(makers[0].begun) + len(makers[1].begun) >= 4)
        assert {(await one.get(v.id)).status for v in stays} <= {"queued", "in_progress"}
        await until(lambda: any(v.claim and v.claim.owner == other.owner for v in one.all()))
        for maker in makers:
            maker.gate.set()
        for video in stays:
            assert await finish(one, video) == "completed"
        assert len(makers[0].begun) + len(makers[1].begun) == 5
        await other.drain(1)
        last = await one.create(request_)
        assert await finish(one, last) == "completed"

    run(test)


def test_a_lost_generator_makes_the_job_run_once_more(tmp_path: Path, request_: VideoRequest) -> None:
    async def test() -> None:
        generator = FakeGenerator()
        generator.losses = 1
        jobs = make_jobs(tmp_path, generator)
        await jobs.start()
        video = await jobs.create(replace(request_, prompt="lost"))
        other = await jobs.create(request_)
        assert await finish(jobs, video) == await finish(jobs, other) == "completed"
        assert generator.begun.count("lost") == 2

    run(test)


def test_a_job_that_always_loses_its_generator_fails_with_a_reason(
    tmp_path: Path, request_: VideoRequest
) -> None:
    async def test() -> None:
        generator = FakeGenerator()
        generator.losses = 99
        jobs = make_jobs(tmp_path, generator, max_attempts=2)
        await jobs.start()
        video = await jobs.create(replace(request_, prompt="lost"))
        assert await finish(jobs, video) == "failed"
        assert "begun 2 times" in str(video.error)
        assert generator.begun == ["lost", "lost"]

    run(test)


def test_who_shared_a_failed_pass_is_made_alone(tmp_path: Path, request_: VideoRequest) -> None:
    async def test() -> None:
        jobs = make_jobs(tmp_path)
        await jobs.start()
        company, failing = [await jobs.create(replace(request_, prompt=p)) for p in ("bad company", "fail")]
        assert await finish(jobs, company) == "completed"
        assert await finish(jobs, failing) == "failed"
        assert failing.error == "no"

    run(test)


def test_a_deleted_video_never_comes_back(tmp_path: Path, request_: VideoRequest) -> None:
    async def test() -> None:
        generator = FakeGenerator()
        one, other = make_jobs(tmp_path, generator), make_jobs(tmp_path, generator)
        await one.start()
        await other.start()
        for prompt in ("stay", "unbegun", "done"):
            video = await one.create(replace(request_, prompt=prompt))
            if prompt == "done":
                await finish(one, video)
            await until(lambda video=video: video.id in other._videos)  # type: ignore[misc]
            await other.delete(video.id)
            await until(lambda video=video: video.id not in one._videos)  # type: ignore[misc]
            for jobs in (one, other):
                with pytest.raises(APIError, match="no video"):
                    await jobs.get(video.id)
        generator.gate.set()
        last = await one.create(request_)
        assert await finish(one, last) == "completed"
        await one._look()
        await asyncio.to_thread(one.store.tidy, one.clock(), 60)
        assert left(tmp_path) == {
            f"{last.id}.request", f"{last.id}.claim.1", f"{last.id}.end", f"{last.id}.1.mp4", f"{last.id}.1.webp"
        }  # fmt: skip
        third = make_jobs(tmp_path)
        await third.start()
        assert [video.id for video in third.all()] == [last.id]

    run(test)


def test_a_video_that_is_deleted_while_its_files_are_written_leaves_nothing(
    tmp_path: Path, request_: VideoRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        jobs = make_jobs(tmp_path)
        await jobs.start()
        keep = jobs.store.keep_files

        def keep_late(job_id: str, *args: Any) -> None:
            asyncio.run_coroutine_threadsafe(jobs.delete(job_id), loop).result(10)
            keep(job_id, *args)

        loop = asyncio.get_running_loop()
        monkeypatch.setattr(jobs.store, "keep_files", keep_late)
        await finish(jobs, await jobs.create(request_))
        await until(lambda: not left(tmp_path))

    run(test)


def test_a_cancelled_video_leaves_the_queue_and_stays_cancelled(
    tmp_path: Path, request_: VideoRequest
) -> None:
    async def test() -> None:
        jobs = make_jobs(tmp_path, max_queued=2)
        await jobs.start()
        working, waiting = [await jobs.create(replace(request_, prompt=p)) for p in ("stay", "unbegun")]
        await until(lambda: working.done == 0)
        with pytest.raises(APIError) as full:
            await jobs.create(request_)
        assert (full.value.status, full.value.code) == (429, "queue_full")
        for video in (working, waiting, waiting):
            assert (await jobs.cancel(video.id)).status == "cancelled"
        done = await jobs.create(request_)
        assert await finish(jobs, done) == "completed"
        with pytest.raises(APIError) as late:
            await jobs.cancel(done.id)
        assert late.value.status == 409
        assert [video.status for video in jobs.all()] == ["cancelled", "cancelled", "completed"]

    run(test)


def test_places_in_the_queue_and_seconds_are_told(tmp_path: Path, request_: VideoRequest) -> None:
    async def test() -> None:
        jobs = make_jobs(tmp_path)
        await jobs.start()
        await finish(jobs, await jobs.create(request_))
        videos = [await jobs.create(replace(request_, prompt="stay")) for _ in range(5)]
        await until(lambda: [video.done for video in videos] == [0, 0, None, None, None])
        answers = [jobs.describe(video) for video in videos]
        assert [answer.queue_position for answer in answers] == [None, None, 1, 2, 3]
        assert [answer.expected_seconds for answer in answers] == [0.5, 0.5, 0.5, 1.0, 1.5]
        assert jobs.queues["student"].retry_seconds(videos) == 2

    run(test)


def test_the_same_key_makes_one_video(tmp_path: Path, request_: VideoRequest) -> None:
    async def test() -> None:
        one, other = make_jobs(tmp_path), make_jobs(tmp_path)
        await one.start()
        await other.start()
        videos = await asyncio.gather(
            *(jobs.create(request_, key=("k", "body")) for jobs in (one, other) * 4)
        )
        assert len({video.id for video in videos}) == 1
        with pytest.raises(APIError) as reused:
            await other.create(request_, key=("k", "another body"))
        assert (reused.value.status, reused.value.code) == (409, "idempotency_key_reused")
        assert (await one.create(request_, Asker("bob"), key=("k", "body"))).id != videos[0].id
        await one.delete(videos[0].id)
        with pytest.raises(APIError, match="removed"):
            await other.create(request_, key=("k", "body"))

    run(test)


def test_a_key_whose_server_was_killed_before_the_job_was_saved_still_works(
    tmp_path: Path, request_: VideoRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        jobs = make_jobs(tmp_path)
        await jobs.start()
        create = jobs.store.state.create

        def killed(name: str, content: bytes) -> bool:
            if name.endswith(".request"):
                raise OSError("killed")
            return create(name, content)

        monkeypatch.setattr(jobs.store.state, "create", killed)
        with pytest.raises(OSError, match="killed"):
            await jobs.create(request_, key=("k", "body"))
        monkeypatch.undo()
        assert await finish(jobs, await jobs.create(request_, key=("k", "body"))) == "completed"

    run(test)


def test_results_expire_and_the_oldest_make_room(tmp_path: Path, request_: VideoRequest) -> None:
    async def test() -> None:
        jobs = make_jobs(tmp_path, max_videos=2, keep_seconds=60)
        await jobs.start()
        videos = [await jobs.create(request_) for _ in range(3)]
        for video in videos:
            await finish(jobs, video)
        await until(lambda: [video.id for video in jobs.all()] == [video.id for video in videos[1:]])
        jobs.clock = lambda: videos[2].job.created_at + 100
        with pytest.raises(APIError):
            await jobs.get(videos[2].id)
        await until(lambda: not left(tmp_path))

    run(test)


def test_a_stopped_server_finishes_its_pass_and_gives_the_rest_back(
    tmp_path: Path, request_: VideoRequest
) -> None:
    async def test() -> None:
        generator = FakeGenerator()
        jobs = make_jobs(tmp_path, generator)
        await jobs.start()
        working, unbegun, waiting = [
            await jobs.create(replace(request_, prompt=p)) for p in ("stay", "unbegun", "wait")
        ]
        await until(lambda: working.done == 0)
        draining = asyncio.create_task(jobs.drain(10))
        await until(lambda: jobs.draining)
        with pytest.raises(APIError) as refused:
            await jobs.create(request_)
        assert refused.value.status == 503
        generator.gate.set()
        await draining
        assert [v.status for v in (working, unbegun, waiting)] == ["completed", "queued", "queued"]
        after = make_jobs(tmp_path, generator)
        await after.start()
        for video in after.all():
            assert await finish(after, video) == "completed"
            assert after.describe(video).attempts == 0

    run(test)


class SmallDisk(FolderState):
    """A state on a disk that may be full."""

    full = False

    def create(self, name: str, content: bytes) -> bool:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().create(name, content)

    def write(self, name: str, content: bytes) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().write(name, content)


def test_a_full_disk_refuses_new_jobs_and_fails_the_one_that_met_it(
    tmp_path: Path, request_: VideoRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        generator, disk = FakeGenerator(), SmallDisk(tmp_path / "jobs")
        jobs = make_jobs(tmp_path, generator, disk)
        await jobs.start()
        working = await jobs.create(replace(request_, prompt="stay"))
        await until(lambda: working.done == 0)

        def no_room(*_: Any) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        disk.full = True
        monkeypatch.setattr(jobs.store, "keep_files", no_room)
        generator.gate.set()
        await until(lambda: working.finished)
        assert "storage is full" in str(working.error)
        assert jobs.trouble == "full"
        with pytest.raises(APIError) as refused:
            await jobs.create(request_)
        assert refused.value.status == 507
        disk.full = False
        monkeypatch.undo()
        await until(lambda: jobs.trouble is None)
        assert await finish(jobs, await jobs.create(request_)) == "completed"
        await until((tmp_path / "jobs" / f"{working.id}.end").exists)
        again = make_jobs(tmp_path)
        await again.start()
        assert [(v.status, v.end and v.end.code) for v in again.all()] == [
            ("failed", "storage_full"),
            ("completed", None),
        ]

    run(test)


def test_a_policy_that_fails_refuses_too(tmp_path: Path, request_: VideoRequest) -> None:
    def policy(prompt: str) -> str | None:
        if prompt == "break":
            raise RuntimeError("no connection")
        return "no weapons" if "sword" in prompt else None

    async def test() -> None:
        jobs = make_jobs(tmp_path)
        jobs._policy = policy
        await jobs.start()
        for prompt, status, message in (("a sword", 400, "no weapons"), ("break", 503, "try again")):
            with pytest.raises(APIError, match=message) as refused:
                await jobs.create(replace(request_, prompt=prompt))
            assert refused.value.status == status
        assert jobs.all() == []
        assert await finish(jobs, await jobs.create(request_)) == "completed"

    run(test)


def test_a_job_of_another_version_is_left_to_it_and_a_damaged_one_removed(
    tmp_path: Path, request_: VideoRequest
) -> None:
    async def test() -> None:
        jobs = make_jobs(tmp_path)
        await jobs.start()
        other, damaged = [await jobs.create(replace(request_, prompt="unbegun")) for _ in range(2)]
        kill(jobs)
        path = tmp_path / "jobs" / f"{other.id}.request"
        path.write_text(path.read_text().replace('"fps"', '"frame_rate"'))
        (tmp_path / "jobs" / f"{damaged.id}.request").write_text("{")
        again = make_jobs(tmp_path)
        await again.start()
        assert again.all() == []
        assert path.exists()
        assert f"{damaged.id}.request" not in left(tmp_path)

    run(test)


def test_a_job_of_a_model_that_nobody_serves_any_more_fails(tmp_path: Path, request_: VideoRequest) -> None:
    async def test() -> None:
        former, now = make_jobs(tmp_path), make_jobs(tmp_path)
        former.queues["former"] = former.queues["student"]
        await former.start()
        job = await former.create(replace(request_, model="former", prompt="stay"))
        await now.start()
        await asyncio.sleep(0.05)
        assert not (await now.get(job.id)).finished  # the server that has the model lives
        kill(former)
        await until(lambda: now._videos[job.id].finished)
        assert now._videos[job.id].end.code == "model_not_served"  # type: ignore[union-attr]

    run(test)


def test_a_job_that_something_else_interrupts_is_made_again(tmp_path: Path, request_: VideoRequest) -> None:
    async def test() -> None:
        generator = FakeGenerator()
        generator.losses = 1
        jobs = make_jobs(tmp_path, generator)
        await jobs.start()
        assert await finish(jobs, await jobs.create(replace(request_, prompt="interrupted"))) == "completed"

    run(test)


def test_a_job_is_no_part_of_the_request_that_asked_for_it(tmp_path: Path, request_: VideoRequest) -> None:
    async def test() -> None:
        asking.set("this client")
        jobs = make_jobs(tmp_path, generate)
        await jobs.start()
        await finish(jobs, await jobs.create(request_))
        await finish(jobs, await jobs.create(request_))
        assert seen == ["nobody", "nobody"]

    asking: ContextVar[str] = ContextVar("asking", default="nobody")
    seen: list[str] = []

    async def generate(request: VideoRequest, alone: bool) -> AsyncIterator[Event]:
        seen.append(asking.get())
        yield Result(MP4, PICTURE, 0.5, 1)

    run(test)
