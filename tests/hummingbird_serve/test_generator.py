"""The generator without Ray's batches: which requests share a pass, and what becomes of failures."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hummingbird_serve import generator
from hummingbird_serve.generator import MAX_FAILURES, Generator, GeneratorSettings, _groups, _Ticket
from hummingbird_serve.requests import Event, Failure, Progress, Result, VideoRequest


class FakeSampler:
    """Fails for the prompt "fail"; writes files for "no files" in vain."""

    def latents(self, requests: Sequence[VideoRequest], on_step: Callable[[int], None]) -> list[str]:
        prompts = [request.prompt for request in requests]
        if "fail" in prompts:
            raise RuntimeError("no")
        for done in range(requests[0].steps + 1):
            on_step(done)
        return prompts

    def files(self, latents: list[str], request: VideoRequest) -> list[tuple[bytes, bytes]]:
        if "no files" in latents:
            raise OSError("no")
        return [(prompt.encode(), b"RIFF") for prompt in latents]


@pytest.fixture
def video_generator(monkeypatch: pytest.MonkeyPatch) -> Generator:
    monkeypatch.setattr(generator, "_load", lambda settings, model: FakeSampler())
    return Generator(GeneratorSettings(Path(), 1, 4, 0.2, 4, 8, 5.0))


def run(video_generator: Generator, tickets: Sequence[_Ticket]) -> list[Sequence[Event]]:
    async def collect() -> list[Sequence[Event]]:
        return [events async for events in video_generator._run(tickets, lambda: None)]

    return asyncio.run(collect())


def test_only_requests_alike_share_a_pass(request_: VideoRequest) -> None:
    others = [
        replace(request_, seed=2, prompt="x"),
        replace(request_, steps=3),
        replace(request_, guidance=1),
        replace(request_, quality="fast"),
    ]
    tickets = [_Ticket(one) for one in (request_, *others, request_)]
    assert list(_groups(tickets)) == [[0, 1, 5], [2], [3], [4]]
    tickets.append(_Ticket(request_, alone=True))
    assert list(_groups(tickets)) == [[0, 1, 5], [2], [3], [4], [6]]


def test_a_pass_tells_each_step_and_ends_with_its_videos(
    video_generator: Generator, request_: VideoRequest
) -> None:
    *steps, results = run(video_generator, [_Ticket(request_), _Ticket(request_)])
    assert steps == [[Progress(done, 2)] * 2 for done in range(3)]
    assert [result.batch_size for result in results if isinstance(result, Result)] == [2, 2]
    assert [result.mp4 for result in results if isinstance(result, Result)] == [request_.prompt.encode()] * 2


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


def test_files_that_cannot_be_written_are_a_failure(
    video_generator: Generator, request_: VideoRequest
) -> None:
    assert run(video_generator, [_Ticket(replace(request_, prompt="no files"))])[-1] == [
        Failure("the model failed: OSError")
    ]


def test_the_next_pass_is_sampled_while_files_are_written(
    video_generator: Generator, request_: VideoRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = threading.Event()
    sampler = video_generator._sampler

    def files(latents: list[str], request: VideoRequest) -> list[tuple[bytes, bytes]]:
        if latents == ["first"]:
            assert second.wait(20), "the second pass waits for the files of the first"
        else:
            second.set()
        return [(b"", b"")]

    latents = sampler.latents

    def sampled(requests: Sequence[VideoRequest], on_step: Callable[[int], None]) -> list[str]:
        prompts: list[str] = latents(requests, on_step)
        if prompts == ["second"]:
            second.set()
        return prompts

    monkeypatch.setattr(sampler, "files", files)
    monkeypatch.setattr(sampler, "latents", sampled)

    async def one(prompt: str) -> Sequence[Event]:
        tickets = [_Ticket(replace(request_, prompt=prompt))]
        return [events async for events in video_generator._run(tickets, lambda: None)][-1]

    async def both() -> list[Sequence[Event]]:
        return await asyncio.gather(one("first"), one("second"))

    assert all(isinstance(result, Result) for [result] in asyncio.run(both()))


def test_a_package_is_taken_in_once_it_is_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    loaded: list[Path] = []
    monkeypatch.setattr(generator, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(generator, "_load", lambda settings, model: loaded.append(model) or FakeSampler())
    packages = iter([None, None, tmp_path])
    monkeypatch.setattr(generator, "compiled_package", lambda name: next(packages))

    async def wait() -> None:
        made = Generator(GeneratorSettings(Path("eager"), 1, 4, 0.2, 4, 8, 5.0, compiled="x.json"))
        eager = made._sampler
        await made.ready()
        while made._sampler is eager:
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(wait(), 20))
    assert loaded == [Path("eager"), tmp_path]
