"""The jobs with their state in a real PostgreSQL: the same promises, two servers, and a database that goes away."""

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from hummingbird_serve.requests import VideoRequest
from hummingbird_serve.state import SqlState
from serving_faults import ENDS, small_server

from . import conftest, test_jobs
from .conftest import make_jobs
from .test_jobs import finish, run, until

pytestmark = pytest.mark.slow


@pytest.fixture
def sql_states(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[SqlState]]:
    """Every server of a test has its own connections to the database."""
    opened: list[SqlState] = []

    def connect(_: Path) -> SqlState:
        opened.append(SqlState(database))
        return opened[-1]

    monkeypatch.setattr(conftest, "FolderState", connect)
    yield opened
    for state in opened:
        state._engine.dispose()


@pytest.mark.parametrize(
    "test",
    [
        test_jobs.test_what_a_killed_server_accepted_is_made_by_the_next,
        test_jobs.test_a_second_server_shares_the_queue_and_fails_nothing,
        test_jobs.test_a_lost_generator_makes_the_job_run_once_more,
        test_jobs.test_a_cancelled_video_leaves_the_queue_and_stays_cancelled,
        test_jobs.test_the_same_key_makes_one_video,
        test_jobs.test_a_job_that_always_loses_its_generator_fails_with_a_reason,
    ],
)
def test_jobs_keep_their_promises(
    test: Callable[[Path, VideoRequest], None],
    tmp_path: Path,
    request_: VideoRequest,
    sql_states: list[SqlState],
) -> None:
    test(tmp_path, request_)
    assert sql_states


def test_many_servers_start_at_once(database: str) -> None:
    with ThreadPoolExecutor(12) as threads:
        states = list(threads.map(SqlState, [database] * 12))
    assert sum(state.create("one", b"") for state in states) == 1
    for state in states:
        state._engine.dispose()


def test_every_claim_has_one_owner_whatever_the_isolation(database: str) -> None:
    strict = sqlalchemy.create_engine(database)
    with strict.begin() as connection:
        connection.execute(
            sqlalchemy.text("alter role ada set default_transaction_isolation = 'serializable'")
        )
    states = [SqlState(database) for _ in range(8)]
    try:
        with ThreadPoolExecutor(8) as threads:
            for number in range(20):
                won = list(
                    threads.map(lambda state, n=number: state.create(f"claim.{n}", b""), states)  # type: ignore[misc]
                )
                assert sum(won) == 1
    finally:
        with strict.begin() as connection:
            connection.execute(sqlalchemy.text("alter role ada reset default_transaction_isolation"))
        for engine in (strict, *(state._engine for state in states)):
            engine.dispose()


def test_expired_videos_leave_no_row(
    tmp_path: Path, request_: VideoRequest, sql_states: list[SqlState]
) -> None:
    async def test() -> None:
        jobs = make_jobs(tmp_path, keep_seconds=60)
        await jobs.start()
        for _ in range(3):
            await finish(jobs, await jobs.create(request_, key=("k", "body")))
        jobs.clock = lambda: time.time() + 100
        await until(lambda: not list((tmp_path / "videos").iterdir()))
        await asyncio.to_thread(jobs.store.tidy, jobs.clock(), 60)
        await jobs.drain(1)
        assert sql_states[0].names() == []

    run(test)


def test_connections_that_are_cut_cost_no_job(
    tmp_path: Path, request_: VideoRequest, database: str, sql_states: list[SqlState]
) -> None:
    other = sqlalchemy.create_engine(database, isolation_level="AUTOCOMMIT")

    def cut() -> None:
        with other.connect() as connection:
            connection.execute(
                sqlalchemy.text(
                    "select pg_terminate_backend(pid) from pg_stat_activity "
                    "where pid <> pg_backend_pid() and datname = current_database()"
                )
            )

    def move(name: str, to: str) -> None:
        with other.connect() as connection:
            connection.execute(sqlalchemy.text(f"alter table {name} rename to {to}"))

    async def test() -> None:
        jobs = make_jobs(tmp_path)
        await jobs.start()
        for _ in range(5):
            video = await jobs.create(replace(request_, prompt="slow", steps=2))
            await asyncio.to_thread(cut)
            assert await finish(jobs, video) == "completed"
        await asyncio.to_thread(move, "hummingbird_serve", "away")
        with pytest.raises(OSError, match="the database of the jobs fails"):
            await jobs.create(request_)
        assert jobs.trouble == "unavailable"
        await asyncio.to_thread(move, "away", "hummingbird_serve")
        await until(lambda: jobs.trouble is None)
        assert await finish(jobs, await jobs.create(request_)) == "completed"
        await jobs.drain(1)

    run(test)
    other.dispose()


def test_two_servers_share_a_storage_with_the_state_in_the_database(
    tmp_path: Path, tiny_pipelines: dict[str, Path], database: str
) -> None:
    pipelines: Any = tiny_pipelines["student"].parent
    with (
        small_server(tmp_path, pipelines, jobs=database) as first,
        small_server(tmp_path, pipelines, jobs=database) as second,
    ):
        first.wait()
        second.wait()
        ids = first.create(12) + second.create(8)
        assert len(ids) == 20
        second.kill()
        videos = first.ends(ids)
        assert {video["status"] for video in videos.values()} == {"completed"}
        made = sorted(path.name.partition(".")[0] for path in (tmp_path / "serve" / "videos").glob("*.mp4"))
        assert made == sorted(ids)
        assert not (tmp_path / "serve" / "jobs").exists()
        assert {video["status"] for video in first.client.get("/v1/videos").json()["data"]} <= set(ENDS)
