"""Pretraining by the trainer: it goes on where it stopped, averages weights, and stops on what is no number."""

import json
from functools import partial
from pathlib import Path

import pytest
import torch
from hummingbird.config.pretrain import PretrainSettings
from hummingbird.pretraining.autoencoder import frame_batch
from hummingbird.pretraining.method import pretrain_network
from hummingbird.pretraining.prefetch import drawn_batches
from hummingbird.training.data import Worker
from hummingbird.training.latent_cache import Batch
from hummingbird.training.methods.base import TrainingStep
from torch import Tensor, nn

CPU = torch.device("cpu")
frames = partial(frame_batch, 0, 4)  # which new processes can import


def draw(number: int) -> Batch:
    return {"number": number, "x": torch.randn(8, 3, generator=torch.Generator().manual_seed(number))}


class LeastSquares:
    """A network of few weights and its loss, with noise; can be stopped at a step."""

    def __init__(self, stop_at: int | None = None) -> None:
        torch.manual_seed(0)
        self.network, self.stop_at, self.seen = nn.Linear(3, 1), stop_at, list[int]()

    def losses(self, step: TrainingStep) -> dict[str, Tensor]:
        if step.number == self.stop_at:
            raise KeyboardInterrupt
        self.seen.append(step.batch["number"])
        x = step.batch["x"]
        noise = 0.01 * torch.randn(8, 1)
        return {"error": (self.network(x) - x.sum(1, keepdim=True) + noise).square().mean()}

    def run(self, folder: Path, processes: int = 0) -> dict[str, float]:
        settings = PretrainSettings(steps=30, learning_rate=0.05, device="cpu")
        options = {"warmup_steps": 5, "ema_decay": 0.9, "checkpoint_every": 10, "mixed_precision": "fp32"}
        data = partial(drawn_batches, draw, processes)
        return pretrain_network(self.network, self.losses, data, folder, 0, settings, **options)


def test_a_run_cut_in_two_equals_an_unbroken_one(tmp_path: Path) -> None:
    whole, first, second = LeastSquares(), LeastSquares(stop_at=17), LeastSquares()
    whole.run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        first.run(tmp_path / "cut")
    facts = second.run(tmp_path / "cut")
    assert whole.seen == list(range(30))
    assert second.seen == list(range(10, 30))
    assert facts["steps"] == 30
    torch.testing.assert_close(second.network.weight, whole.network.weight, rtol=0, atol=0)


def test_it_learns_logs_and_leaves_averaged_weights(tmp_path: Path) -> None:
    model = LeastSquares()
    facts = model.run(tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "losses.jsonl").read_text().splitlines()]
    assert rows[-1]["error"] < rows[0]["error"] / 4
    assert set(facts) == {"steps", "seconds", "error"}
    checkpoint = torch.load(tmp_path / "checkpoint" / "step_00000030" / "average-student.pt")
    torch.testing.assert_close(model.network.weight.detach(), checkpoint["module"]["weight"])


def test_a_loss_that_is_no_number_ends_the_run_and_is_named(tmp_path: Path) -> None:
    network = nn.Linear(1, 1)
    with pytest.raises(FloatingPointError, match=r"step 1.*broken"):
        _run_briefly(network, lambda step: {"broken": network.weight.sum() * float("nan")}, tmp_path)


def test_weights_that_are_no_numbers_are_not_saved(tmp_path: Path) -> None:
    network = nn.Linear(1, 1)
    with pytest.raises(FloatingPointError, match=r"step 1.*gradient_norm"):
        # The loss is 0, its gradient is no number.
        _run_briefly(network, lambda step: {"fine": (0 * network.weight).sqrt().sum()}, tmp_path)
    assert not (tmp_path / "checkpoint").exists()


def test_workers_share_what_is_drawn() -> None:
    seen = []
    for rank in range(2):
        with drawn_batches(draw, 0, Worker(rank, 2, CPU)) as read:
            seen += [read(step)["number"] for step in range(3)]
    assert seen == [0, 2, 4, 1, 3, 5]


@pytest.mark.slow
def test_what_processes_draw_is_the_same() -> None:
    worker = Worker(1, 2, CPU)
    with drawn_batches(frames, 0, worker) as here, drawn_batches(frames, 2, worker) as ahead:
        for step in (3, 4, 5):  # a run that is taken up begins anywhere
            assert (here(step)["frames"] == ahead(step)["frames"]).all()


def _run_briefly(network: nn.Module, losses: object, folder: Path) -> None:
    data = partial(drawn_batches, draw, 0)
    pretrain_network(network, losses, data, folder, 0, PretrainSettings(steps=3, device="cpu"))  # type: ignore[arg-type]
