"""Timing: parts add up, models take turns, pipelines are left as they were."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hummingbird.benchmarks import speed
from hummingbird.benchmarks.speed import PARTS, Contestant, time_all, time_video
from hummingbird.models.pipeline import TextToVideoPipelineOutput, load_pipeline


class Clock:
    """Time that passes only where it is told to."""

    now = 0.0

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(speed, "synchronized_time", lambda: made.now)
    return made


class Slow:
    """A pipeline whose parts take known times."""

    def __init__(self, clock: Clock, log: list[str], name: str) -> None:
        self.clock, self.log, self.name = clock, log, name

    def encode_prompts(self) -> None:
        self.clock.pass_by(2)

    def decode(self) -> None:
        self.clock.pass_by(5)

    def __call__(self, prompt: str, *, generator: torch.Generator, **options: Any) -> Any:
        seed = generator.initial_seed()
        self.log.append(f"{self.name} {prompt} {seed}")
        self.encode_prompts()
        self.encode_prompts()
        self.clock.pass_by(10 + seed)
        self.decode()
        return TextToVideoPipelineOutput(frames=torch.zeros(1, 4, 3, 16, 16))


def test_parts_are_told_apart(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "write_mp4", lambda *args: clock.pass_by(3))
    parts = time_video(Contestant("slow", Slow(clock, [], ""), {}, 8), "a", 0)
    assert parts == {"text": 4, "denoising": 10, "decoding": 5, "mp4": 3}


def test_models_take_turns_on_the_same_prompts_and_warm_up(clock: Clock) -> None:
    log: list[str] = []
    contestants = [Contestant(name, Slow(clock, log, name), {}, 8) for name in "xy"]
    timings = time_all(contestants, ["p", "q"], warmup=1, repeats=3)
    assert log[:4] == ["x p 0", "y p 0", "x q 1", "y q 1"]
    assert len(log) == 8
    # The medians of the repeats after the warm-up: seeds 1, 2 and 3.
    assert timings["x"].parts == {"text": 4, "denoising": 12, "decoding": 5, "mp4": 0}
    assert timings["x"].seconds == 21


def test_a_real_pipeline_is_timed_and_left_as_it_was(tiny_pipelines: dict[str, Path]) -> None:
    pipeline = load_pipeline(tiny_pipelines["teacher"])
    options = {"num_inference_steps": 2, "guidance_scale": 3.0, "decoder": "full"}
    parts = time_video(Contestant("teacher", pipeline, options, 8), "red", 0)
    assert set(parts) == set(PARTS)
    assert min(parts.values()) > 0
    assert "decode" not in vars(pipeline)
    assert pipeline.decode.__func__ is type(pipeline).decode
