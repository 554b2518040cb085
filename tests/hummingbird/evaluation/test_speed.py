"""Timing: parts add up, models take turns, pipelines are left as they were."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hummingbird.evaluation import speed
from hummingbird.evaluation.sampling import SamplingParameters, decode_frames, denoise, sample_videos
from hummingbird.evaluation.speed import PARTS, TimedPipeline, time_pipelines, time_videos
from hummingbird.evaluation.work import peak_bytes, video_flop
from hummingbird.models.pipeline import load_pipeline
from torch import Tensor

PARAMETERS = SamplingParameters(2, 3.0)


class Clock:
    """Time that passes only where it is told to."""

    now = 0.0

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    fake_clock = Clock()
    monkeypatch.setattr(speed, "synchronized_time", lambda: fake_clock.now)
    return fake_clock


class Slow:
    """A pipeline whose parts take known times."""

    def __init__(self, clock: Clock, log: list[str], name: str) -> None:
        self.clock, self.log, self.name = clock, log, name

    def encode_prompts(self, prompts: list[str]) -> Tensor:
        self.log.append(f"{self.name} {prompts[0]}")
        self.clock.pass_by(2)
        return torch.zeros(1, 3, 4)

    def __call__(self, *, generator: list[torch.Generator], **options: Any) -> SimpleNamespace:
        self.log[-1:] = [f"{line} {generator[0].initial_seed()}" for line in self.log[-1:]]
        self.clock.pass_by(10 + generator[0].initial_seed())
        return SimpleNamespace(frames=torch.zeros(1, 4, 4, 2, 2))

    def decode(self, latents: Tensor, decoder: str) -> Tensor:
        self.clock.pass_by(5)
        return torch.zeros(1, 4, 3, 16, 16)


def test_parts_are_told_apart(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "write_mp4", lambda *args: clock.pass_by(3))
    parts = time_videos(TimedPipeline("slow", Slow(clock, [], ""), PARAMETERS), ["a"], 0)
    assert parts == {"text": 2, "denoising": 10, "decoding": 5, "mp4": 3}
    both = time_videos(TimedPipeline("slow", Slow(clock, [], ""), PARAMETERS, batch_size=2), ["a", "b"], 0)
    assert both == {"text": 1, "denoising": 5, "decoding": 2.5, "mp4": 1.5}  # seconds a video


def test_models_take_turns_on_the_same_prompts_and_warm_up(clock: Clock) -> None:
    log: list[str] = []
    pipelines = [TimedPipeline(name, Slow(clock, log, name), PARAMETERS) for name in "xy"]
    timings = time_pipelines(pipelines, ["p", "q"], warmup=1, repeats=3)
    assert log[:4] == ["x p 0", "y p 0", "x q 1", "y q 1"]
    assert len(log) == 8
    # The medians of the repeats after the warm-up: seeds 1, 2 and 3.
    assert timings["x"].parts == {"text": 2, "denoising": 12, "decoding": 5, "mp4": 0}
    assert timings["x"].seconds == 19


@pytest.mark.parametrize("name", ["teacher", "student"])
def test_the_timed_parts_make_the_video_that_the_pipeline_makes(
    name: str, tiny_pipelines: dict[str, Path]
) -> None:
    pipeline = load_pipeline(tiny_pipelines[name])
    parts = time_videos(TimedPipeline(name, pipeline, PARAMETERS), ["red"], 0)
    assert set(parts) == set(PARTS)
    assert min(parts.values()) > 0
    latents = denoise(pipeline, pipeline.encode_prompts(["red"]), [7], PARAMETERS)
    frames = decode_frames(pipeline, latents, PARAMETERS)
    assert (frames == sample_videos(pipeline, ["red"], [7], PARAMETERS)).all()


def test_the_work_of_a_video_grows_with_its_steps_and_passes(tiny_pipelines: dict[str, Path]) -> None:
    teacher, student = (load_pipeline(tiny_pipelines[name]) for name in ("teacher", "student"))
    two, six = (video_flop(teacher, SamplingParameters(steps, 3.0)) for steps in (2, 6))
    assert six["denoising"] == pytest.approx(3 * two["denoising"], rel=0.02)  # the empty prompt is read once
    assert six["text"] == two["text"]
    assert six["decoding"] == two["decoding"]
    unguided = video_flop(teacher, SamplingParameters(2, 1.0))
    assert two["denoising"] == pytest.approx(2 * unguided["denoising"], rel=0.02)
    small, full = (video_flop(student, SamplingParameters(2, 3.0, decoder)) for decoder in ("small", "full"))
    assert small["decoding"] != full["decoding"]
    device = torch.device("cpu")
    alone, four = (
        peak_bytes(TimedPipeline("student", student, PARAMETERS, batch_size=count), device)
        for count in (1, 4)
    )
    assert alone < four < 5 * alone
