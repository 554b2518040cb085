"""The generator without Ray's batches: which requests share a pass, and what becomes of failures."""

import asyncio
import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hummingbird.models.pipeline import TextToVideoPipelineOutput
from hummingbird_serve import generator
from hummingbird_serve.generator import MAX_FAILURES, Generator, GeneratorSettings, _groups, _Ticket
from hummingbird_serve.requests import Event, Failure, Progress, Result, VideoRequest
from PIL import Image


def model(
    prompt: list[str], *, num_inference_steps: int, callback_on_step_end: Callable[..., Any], **_: Any
) -> TextToVideoPipelineOutput:
    """Fails for the prompt "fail"."""
    if "fail" in prompt:
        raise RuntimeError("no")
    for step in range(num_inference_steps):
        callback_on_step_end(None, step, 999, {})
    return TextToVideoPipelineOutput(frames=torch.zeros(len(prompt), 4, 3, 16, 16))


@pytest.fixture
def video_generator(monkeypatch: pytest.MonkeyPatch) -> Generator:
    monkeypatch.setattr(generator, "_load", lambda settings: model)
    return Generator(GeneratorSettings(Path(), 1, 4, 0.2, 4, 8, 5.0))


def run(video_generator: Generator, tickets: Sequence[_Ticket]) -> list[Sequence[Event]]:
    async def collect() -> list[Sequence[Event]]:
        return [events async for events in video_generator._run(tickets)]

    return asyncio.run(collect())


def test_only_requests_alike_share_a_pass(request_: VideoRequest) -> None:
    others = [
        replace(request_, seed=2, prompt="x"),
        replace(request_, steps=3),
        replace(request_, guidance=1),
    ]
    tickets = [_Ticket(one) for one in (request_, *others, request_)]
    assert list(_groups(tickets)) == [[0, 1, 4], [2], [3]]
    tickets.append(_Ticket(request_, alone=True))
    assert list(_groups(tickets)) == [[0, 1, 4], [2], [3], [5]]


def test_a_pass_tells_each_step_and_ends_with_its_videos(
    video_generator: Generator, request_: VideoRequest
) -> None:
    *steps, results = run(video_generator, [_Ticket(request_), _Ticket(request_)])
    assert steps == [[Progress(done, 2)] * 2 for done in range(3)]
    assert [result.batch_size for result in results if isinstance(result, Result)] == [2, 2]
    with Image.open(io.BytesIO(results[0].thumbnail)) as picture:
        assert (picture.format, picture.size) == ("WEBP", (16, 16))


def test_a_replica_whose_batches_all_fail_says_that_it_is_ill(
    video_generator: Generator, request_: VideoRequest
) -> None:
    for _ in range(MAX_FAILURES):
        video_generator.check_health()
        failed = run(video_generator, [_Ticket(replace(request_, prompt="fail"))])
        assert failed[-1] == [Failure("the model failed: RuntimeError")]
    with pytest.raises(RuntimeError, match="batches failed"):
        video_generator.check_health()
    run(video_generator, [_Ticket(request_)])
    video_generator.check_health()  # one that works ends the row


def test_what_nobody_waits_for_is_given_up(video_generator: Generator, request_: VideoRequest) -> None:
    tickets = [_Ticket(request_), _Ticket(request_)]
    for ticket in tickets:
        ticket.gone = True
    assert [type(event) for (event, _) in run(video_generator, tickets)] == [Failure]
    video_generator.check_health()
    tickets[0].gone = False
    assert isinstance(run(video_generator, tickets)[-1][0], Result)
