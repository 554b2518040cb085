"""The pretraining loop: it goes on where it stopped, averages weights, and stops on a loss that is no number."""

import json
from pathlib import Path

import pytest
import torch
from hummingbird.pretraining.loop import Course, train
from torch import Tensor, nn


class Job:
    """Least squares on data that depend on the step alone; can be stopped at a step."""

    def __init__(self, stop_at: int | None = None) -> None:
        torch.manual_seed(0)
        self.module, self.stop_at, self.seen = nn.Linear(3, 1), stop_at, list[int]()

    def losses(self, step: int) -> dict[str, Tensor]:
        if step == self.stop_at:
            raise KeyboardInterrupt
        self.seen.append(step)
        x = torch.randn(8, 3, generator=torch.Generator().manual_seed(step))
        return {"error": (self.module(x) - x.sum(1, keepdim=True)).square().mean()}

    def run(self, folder: Path) -> dict[str, float]:
        options = {"warmup": 5, "decay": 0.9, "checkpoint_every": 10, "bf16": False}
        return train(self.module, self.losses, folder, Course(30, lr=0.05), **options)  # type: ignore[arg-type]


def test_a_run_cut_in_two_equals_an_unbroken_one(tmp_path: Path) -> None:
    whole, first, second = Job(), Job(stop_at=17), Job()
    whole.run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        first.run(tmp_path / "cut")
    facts = second.run(tmp_path / "cut")
    assert second.seen == list(range(10, 30))
    assert facts["steps"] == 30
    torch.testing.assert_close(second.module.weight, whole.module.weight, rtol=0, atol=0)


def test_it_learns_and_logs(tmp_path: Path) -> None:
    job = Job()
    job.run(tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert rows[-1]["error"] < rows[0]["error"] / 4
    assert rows[-1]["step"] == 29


def test_a_loss_that_is_no_number_ends_the_run_and_is_named(tmp_path: Path) -> None:
    module = nn.Linear(1, 1)
    with pytest.raises(FloatingPointError, match=r"step 0.*broken"):
        train(
            module, lambda step: {"broken": module.weight.sum() * float("nan")}, tmp_path, Course(3, lr=0.1)
        )


def test_weights_that_are_no_numbers_are_not_saved(tmp_path: Path) -> None:
    module = nn.Linear(1, 1)
    with pytest.raises(FloatingPointError, match="weights are not finite after step 1"):
        # The loss is 0, its gradient is no number.
        train(module, lambda _: {"fine": (0 * module.weight).sqrt().sum()}, tmp_path, Course(1, lr=1.0))
    assert not list(tmp_path.glob("*.safetensors"))
