"""Requests: what is sent, what is tried again, and whose fault a failure is."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_endpoint import Endpoint, serving, words_of
from hummingbird.config.endpoint import EndpointSettings
from hummingbird.config.plugins import NoSettings
from hummingbird.core.errors import InputError
from hummingbird_data.captions.engine_http import HttpEngine
from hummingbird_data.captions.engines import EngineSpec, frames_hash
from hummingbird_data.reading.clip_frames import clip_frames, evenly
from hummingbird_data.stage import Row, StageRunner
from pydantic import ValidationError


def engine(url: str | None, **settings: Any) -> HttpEngine:
    endpoint = EndpointSettings(url=url, **{"backoff": 0.01, "retries": 2, "timeout": 5, **settings})
    return HttpEngine(NoSettings(), EngineSpec("http", "tiny", frames=3, max_tokens=8, endpoint=endpoint))


def ask(url: str, rows: list[Row], **settings: Any) -> list[Row]:
    return StageRunner(engine(url, **settings)).run(rows)


@pytest.fixture
def rows(tmp_path: Path, write_video: Callable, shot: Callable) -> list[Row]:
    for number in range(4):
        write_video(tmp_path / f"{number}.mp4", shot(number, seconds=2))
    fixed = {"storage": str(tmp_path), "question": "What is it?", "temperature": 0.5, "seed": 3}
    return [{"clip_id": str(n), "media_path": f"{n}.mp4", **fixed} for n in range(4)]


def test_frames_go_as_they_are_with_the_token_of_the_environment(
    rows: list[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_TOKEN", "s3cret")
    with serving(Endpoint()) as endpoint:
        engine(endpoint.url, token_variable="MY_TOKEN").check()
        assert endpoint.headers[0]["Authorization"] == "Bearer s3cret"
        made = ask(endpoint.url, rows)
    for row, answer in zip(rows, made, strict=True):
        seen = frames_hash(evenly(clip_frames(row)[0], 3))
        assert answer["frames_hash"] == seen
        assert answer["answer"] == words_of(seen)  # the endpoint found the same hash in what it was sent
    body = endpoint.bodies[0]
    assert (body["model"], body["temperature"], body["seed"], body["max_tokens"]) == ("tiny", 0.5, 3, 8)
    assert body["messages"][0]["content"][-1] == {"type": "text", "text": "What is it?"}


@pytest.mark.parametrize("status", [0, 429, 500, 503])
def test_what_may_go_better_is_tried_again(rows: list[Row], status: int) -> None:
    with serving(Endpoint(lambda key, before, *_: (status, "busy") if before < 2 else None)) as endpoint:
        made = ask(endpoint.url, rows)
    assert [row["failure"] for row in made] == [None] * 4
    assert set(endpoint.asked.values()) == {3}


@pytest.mark.parametrize(
    ("status", "down", "tries"), [(400, False, 1), (500, False, 3), (503, True, 3), (401, True, 1)]
)
def test_past_the_retries_it_is_said_whose_fault_it_is(
    rows: list[Row], status: int, down: bool, tries: int
) -> None:
    bad = frames_hash(evenly(clip_frames(rows[1])[0], 3))
    with serving(Endpoint(lambda key, *_: (status, "no!") if key == bad else None)) as endpoint:
        made = ask(endpoint.url, rows)
    if not down:  # of an endpoint that is, nothing more is asked
        assert [row["answer"] is None for row in made] == [False, True, False, False]
    assert made[1]["answer"] is None
    assert f"status {status}" in made[1]["failure"]
    assert "no!" in made[1]["failure"]
    assert made[1]["down"] is down
    assert endpoint.asked[bad] == tries


def test_a_question_that_hangs_costs_its_own_clip_while_others_are_answered(rows: list[Row]) -> None:
    bad = frames_hash(evenly(clip_frames(rows[1])[0], 3))
    with serving(Endpoint(lambda key, *_: time.sleep(2) if key == bad else None)) as endpoint:
        made = ask(endpoint.url, rows, timeout=0.5, retries=0)
    assert [row["answer"] is None for row in made] == [False, True, False, False]
    assert (made[1]["failure"], made[1]["down"]) == ("no whole answer within 0.5 s", False)


@pytest.mark.parametrize("few", [1, 4])
@pytest.mark.parametrize(
    ("misbehave", "drip", "reason"),
    [
        (lambda *_: time.sleep(9), 0.0, "no whole answer within 0.3 s"),
        (None, 0.02, "no whole answer within 0.3 s"),
        (lambda *_: (500, "out of memory"), 0.0, "status 500: .*out of memory"),
        (lambda *_: (400, "no pictures here"), 0.0, "status 400: .*no pictures here"),
        (lambda *_: (200, None), 0.0, "no message"),
        (lambda *_: (200, " "), 0.0, "empty"),
        (lambda *_: (200, {"text": "a cat"}), 0.0, "no message"),
    ],
    ids=["hangs", "drips", "fails", "refuses", "says nothing", "says no word", "says no text"],
)
def test_an_endpoint_that_answers_nobody_is_down(
    rows: list[Row], few: int, misbehave: Callable | None, drip: float, reason: str
) -> None:
    """Whatever the number of clips: it is asked about a plain picture, too."""
    started = time.monotonic()
    with serving(Endpoint(misbehave, drip=drip)) as endpoint:
        made = ask(endpoint.url, rows[:few], timeout=0.3, retries=1)
        spent = time.monotonic() - started
    assert all(row["down"] for row in made)
    assert re.search(f"it answers nobody: .*{reason}", made[0]["failure"])
    assert spent < 5


def test_a_coding_that_an_endpoint_does_not_keep_to_is_its_own_fault(rows: list[Row]) -> None:
    with serving(Endpoint(coding="gzip")) as endpoint:
        made = ask(endpoint.url, rows[:1])
    assert made[0]["down"]
    assert "DecodingError" in made[0]["failure"]


def test_one_answer_without_a_word_is_an_answer_among_others(rows: list[Row]) -> None:
    quiet = frames_hash(evenly(clip_frames(rows[0])[0], 3))
    with serving(Endpoint(lambda key, *_: (200, "") if key == quiet else None)) as endpoint:
        made = ask(endpoint.url, rows)
    assert [row["failure"] for row in made] == [None] * 4
    assert [bool(row["answer"]) for row in made] == [False, True, True, True]


def test_the_parts_of_an_answer_are_put_together(rows: list[Row]) -> None:
    parts = [{"type": "text", "text": "a cat "}, {"type": "text", "text": "sleeps"}]
    with serving(Endpoint(lambda *_: (200, parts))) as endpoint:
        assert ask(endpoint.url, rows[:1])[0]["answer"] == "a cat sleeps"


def test_time_outs_in_a_row_without_one_answer_end_further_tries(rows: list[Row]) -> None:
    with serving(Endpoint(lambda *_: time.sleep(9))) as endpoint:
        made = ask(endpoint.url, rows, timeout=0.2, retries=50, concurrency=2)
        assert sum(endpoint.asked.values()) <= 6
    assert all(row["down"] for row in made)


def test_an_unreadable_clip_is_never_sent(rows: list[Row]) -> None:
    with serving(Endpoint()) as endpoint:
        made = ask(endpoint.url, [rows[0], {**rows[1], "media_path": "gone.mp4"}, rows[2]])
    assert "gone.mp4" in made[1]["failure"]
    assert [row["answer"] is None for row in made] == [False, True, False]
    assert sum(endpoint.asked.values()) == 2


def test_the_driver_finds_out_early_what_cannot_work() -> None:
    with serving(Endpoint()) as endpoint:
        engine(endpoint.url).check()
        endpoint.models = ["other"]
        with pytest.raises(InputError, match=r"serves no 'tiny' but other"):
            engine(endpoint.url).check()
        gone = endpoint.url
    with pytest.raises(InputError, match=r"does not answer"):
        engine(gone, retries=0).check()


@pytest.mark.parametrize(
    "url", ["ftp://host/v1", "host:8000", "http://user:secret@host/v1", "http://host/v1?key=secret"]
)
def test_an_url_holds_no_secret(url: str) -> None:
    with pytest.raises(ValidationError):
        EndpointSettings(url=url)
