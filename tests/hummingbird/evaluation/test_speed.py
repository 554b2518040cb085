"""Timing: parts add up, models take turns, pipelines are left as they were."""

import time
from pathlib import Path
from typing import Any

import pytest
import torch
from hummingbird.evaluation.speed import PARTS, Contestant, time_all, time_video
from hummingbird.models.pipeline import load_pipeline
from torch import Tensor


class Slow:
    """A pipeline whose parts take known times."""

    def __init__(self, log: list[str], name: str) -> None:
        self.log, self.name = log, name

    def encode_prompts(self) -> None:
        time.sleep(0.02)

    def decode(self) -> None:
        time.sleep(0.05)

    def __call__(self, prompts: list[str], seeds: list[int], **options: Any) -> Tensor:
        self.log.append(f"{self.name} {prompts[0]} {seeds[0]}")
        self.encode_prompts()
        time.sleep(0.10)
        self.decode()
        return torch.zeros(1, 4, 16, 16, 3, dtype=torch.uint8)


def test_parts_are_told_apart() -> None:
    parts = time_video(Contestant("slow", Slow([], ""), {}, 8), "a", 0)
    assert set(parts) == set(PARTS)
    assert 0.02 <= parts["text"] < 0.05 <= parts["decoding"] < 0.10 <= parts["denoising"] < 0.15
    assert parts["mp4"] > 0


def test_models_take_turns_on_the_same_prompts_and_warm_up() -> None:
    log: list[str] = []
    timings = time_all([Contestant(n, Slow(log, n), {}, 8) for n in "xy"], ["p", "q"], warmup=1, repeats=2)
    assert log == ["x p 0", "y p 0", "x q 1", "y q 1", "x p 2", "y p 2"]
    assert all(len(t.repeats) == 2 for t in timings.values())
    assert timings["x"].seconds == pytest.approx(0.17, abs=0.1)


def test_a_real_pipeline_is_timed_and_left_as_it_was(tiny_pipelines: dict[str, Path]) -> None:
    pipeline = load_pipeline(tiny_pipelines["teacher"])
    options = {"steps": 2, "guidance": 3.0, "decoder": "full"}
    parts = time_video(Contestant("teacher", pipeline, options, 8), "red", 0)
    assert min(parts.values()) > 0
    assert "decode" not in vars(pipeline)
    assert pipeline.decode.__func__ is type(pipeline).decode
