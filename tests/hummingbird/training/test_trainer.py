"""The trainer in one plain process."""

import dataclasses
import itertools
import json
import math
import subprocess
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hummingbird.config.cluster import RaySettings
from hummingbird.training import loop, trainer
from hummingbird.training.checkpoint import TrainingState
from hummingbird.training.loop import TrainingJob
from hummingbird.training.methods.base import Losses, Method, MethodCost, TrainingStep
from hummingbird.training.trainer import train
from safetensors.torch import load_file

UNET = "diffusion_pytorch_model.safetensors"


def log_of(job: TrainingJob) -> list[dict[str, float]]:
    return [json.loads(line) for line in (job.folder / "losses.jsonl").read_text().splitlines()]


def test_a_run_that_was_cut_off_ends_as_one_that_was_not(
    make_job: Callable[..., TrainingJob], tmp_path: Path
) -> None:
    whole = dataclasses.replace(make_job(engine="process", steps=5), folder=tmp_path / "whole")
    train(whole, RaySettings())
    cut = dataclasses.replace(whole, folder=tmp_path / "cut")
    stop = dataclasses.replace(cut, build=_stops_at_call(cut, 4))
    with pytest.raises(KeyboardInterrupt):
        train(stop, RaySettings())  # checkpoint at step 2, interrupted in step 4
    assert [line["step"] for line in log_of(cut)] == [1, 2, 3]
    train(cut, RaySettings())
    assert [line["step"] for line in log_of(cut)] == [1, 2, 3, 4, 5]
    assert [line["total"] for line in log_of(cut)] == [line["total"] for line in log_of(whole)]
    weights = load_file(whole.folder / "unet" / UNET)
    for name, tensor in load_file(cut.folder / "unet" / UNET).items():
        torch.testing.assert_close(tensor, weights[name], rtol=0, atol=0)


def test_two_networks_are_trained_and_restored_exactly(
    make_job: Callable[..., TrainingJob], two_networks: Callable[[torch.device], Method], tmp_path: Path
) -> None:
    """Each with its rate, as often as the method says; with the replay buffer, and whenever the log is written."""
    whole = dataclasses.replace(make_job(two_networks, engine="process", steps=9), folder=tmp_path / "whole")
    train(whole, RaySettings())
    lines = log_of(whole)
    assert ["to_critic" in line for line in lines] == [bool(step % 2) for step in range(9)]
    assert all("critic/data" in line and "critic/gradient_norm" in line for line in lines)
    assert lines[-1]["critic/data"] < lines[0]["critic/data"]
    settings = whole.training.model_copy(update={"log_every": 3})
    cut = dataclasses.replace(whole, folder=tmp_path / "cut", training=settings)
    with pytest.raises(KeyboardInterrupt):
        train(dataclasses.replace(cut, build=_stops_at_call(cut, 19)), RaySettings())  # in the eighth step
    train(cut, RaySettings())
    assert _without_times(log_of(cut)) == _without_times(lines)
    weights = load_file(whole.folder / "unet" / UNET)
    for name, tensor in load_file(cut.folder / "unet" / UNET).items():
        torch.testing.assert_close(tensor, weights[name], rtol=0, atol=0)


def test_lines_are_written_together_and_nothing_is_lost(
    make_job: Callable[..., TrainingJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "LOG_SECONDS", math.inf)
    job = make_job(engine="process", steps=9, log_every=4, checkpoint_every=None)
    seen: list[int] = []

    def count() -> None:
        log = job.folder / "losses.jsonl"
        seen.append(len(log.read_text().splitlines()))

    train(dataclasses.replace(job, build=lambda device: Watched(job.build(device), count)), RaySettings())
    assert seen == [0, 1, 2, 2, 2, 2, 6, 6, 6]  # the first two at once, then four by four
    assert [line["step"] for line in log_of(job)] == list(range(1, 10))


def test_checkpoints_come_by_time(
    make_job: Callable[..., TrainingJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = itertools.count()
    monkeypatch.setattr(loop, "time", types.SimpleNamespace(perf_counter=lambda: float(next(seconds))))
    saved: list[int] = []
    monkeypatch.setattr(trainer, "save_state", _noted(saved, trainer.save_state))
    job = make_job(engine="process", steps=7, checkpoint_every=None, checkpoint_minutes=3 / 60)
    train(job, RaySettings())  # each step takes a second
    assert saved == [3, 6, 7]


def test_seeds_are_the_same_in_every_process() -> None:
    assert loop.step_seed(3, 1, 7) == 8068998148930849713
    assert len({loop.step_seed(3, rank, step) for rank in range(4) for step in range(50)}) == 200


def test_a_checkpoint_that_was_cut_off_leaves_the_one_before(
    make_job: Callable[..., TrainingJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(engine="process", steps=5)
    rename, calls = Path.rename, itertools.count(1)

    def stopped(path: Path, target: Path) -> Path:
        if path.name == "new" and next(calls) > 1:
            raise KeyboardInterrupt
        return rename(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", stopped)
        with pytest.raises(KeyboardInterrupt):
            train(job, RaySettings())  # at step 4; what step 2 left is whole
    seen = len(log_of(job))
    train(dataclasses.replace(job, build=_stops_at_call(job, 4)), RaySettings())
    assert seen == 4
    assert [line["step"] for line in log_of(job)] == [1, 2, 3, 4, 5]


def test_training_learns_and_logs_every_term(make_job: Callable[..., TrainingJob]) -> None:
    job = make_job(engine="process", steps=20)
    train(job, RaySettings())
    lines = log_of(job)
    terms = {"step", "total", "output", "feature_0", "feature_3", "learning_rate", "gradient_norm", "seconds"}
    assert terms <= set(lines[0])
    assert sum(line["total"] for line in lines[-5:]) < 0.8 * sum(line["total"] for line in lines[:5])
    rates = [line["learning_rate"] for line in lines]
    assert max(rates) <= 1e-3
    assert rates[0] < rates[2] > rates[12] > rates[-1] > 0


def test_activations_are_recomputed_where_asked_for_and_change_no_loss(
    make_job: Callable[..., TrainingJob], tmp_path: Path
) -> None:
    totals = []
    for on in (False, True):
        job = make_job(engine="process", steps=2, gradient_checkpointing=on)
        job = dataclasses.replace(job, folder=tmp_path / f"{on}")
        seen: list[bool] = []
        train(dataclasses.replace(job, build=_watched(job, seen)), RaySettings())
        assert seen == [on, on]
        totals.append([line["total"] for line in log_of(job)])
    assert totals[0] == pytest.approx(totals[1], rel=1e-4)


def test_a_student_loaded_for_evaluation_trains_with_its_dropout(
    make_job: Callable[..., TrainingJob],
) -> None:
    job, students = make_job(engine="process", steps=2), []

    def build(device: torch.device) -> Method:
        method = job.build(device)
        students.append(method.networks["student"].module.eval())
        return method

    train(dataclasses.replace(job, build=build), RaySettings())
    assert all(module.training for module in students[0].modules())


def test_a_run_with_a_time_limit_ends_in_time_also_when_it_was_cut_off(
    make_job: Callable[..., TrainingJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = itertools.count()
    monkeypatch.setattr(loop, "time", types.SimpleNamespace(perf_counter=lambda: float(next(seconds))))
    job = dataclasses.replace(make_job(engine="process", steps=100_000), minutes=10 / 60)
    with pytest.raises(KeyboardInterrupt):
        train(dataclasses.replace(job, build=_stops_at_call(job, 6)), RaySettings())
    train(job, RaySettings())
    lines = log_of(job)
    assert [line["step"] for line in lines] == list(range(1, 11))  # each takes a second
    assert lines[-1]["learning_rate"] < 0.1 * max(line["learning_rate"] for line in lines)


def test_a_loss_that_is_not_finite_ends_the_run(make_job: Callable[..., TrainingJob]) -> None:
    def build(device: torch.device) -> Method:
        method = make_job().build(device)
        with torch.no_grad():
            next(method.networks["student"].module.parameters()).fill_(float("nan"))
        return method

    with pytest.raises(FloatingPointError, match=r"step 1: .* there was no checkpoint yet"):
        train(make_job(build, engine="process"), RaySettings())


def test_the_last_finite_checkpoint_outlives_a_loss_that_is_not(make_job: Callable[..., TrainingJob]) -> None:
    """Even though the checkpoint of the step itself was due, and a loss may be finite where its gradient is not."""
    job = make_job(engine="process", steps=8, checkpoint_every=2, log_every=100)

    def build(device: torch.device) -> Method:
        method = job.build(device)
        calls, losses = itertools.count(1), method.losses

        def broken(network: str, step: TrainingStep) -> Losses:
            result = losses(network, step)
            if next(calls) == 4:  # adds 0, with the gradient 0 x infinity
                result = dataclasses.replace(result, total=result.total + (result.total * 0).sqrt())
            return result

        method.losses = broken  # type: ignore[method-assign]
        return method

    with pytest.raises(
        FloatingPointError, match=r"step 4: .*'gradient_norm': nan.* checkpoint of step 2 stays"
    ):
        train(dataclasses.replace(job, build=build), RaySettings())
    kept = list((job.folder / "checkpoint").glob("step_*"))
    assert [path.name for path in kept] == ["step_00000002"]
    state = torch.load(kept[0] / "networks" / "student" / "engine" / "state.pt", weights_only=True)
    assert all(tensor.isfinite().all() for tensor in state["module"].values())
    train(job, RaySettings())
    assert [line["step"] for line in log_of(job)] == list(range(1, 9))


def test_methods_and_training_in_one_process_need_neither_ray_nor_deepspeed() -> None:
    code = (
        "import sys; import hummingbird.training.trainer, hummingbird.training.methods.distillation, "
        "hummingbird.training.methods.consistency; "
        "print([m for m in ('ray', 'deepspeed') if m in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "[]\n"
    )


class Watched(Method):
    """Another method, and what is done before each of its updates."""

    def __init__(self, method: Method, watch: Callable[[], object]) -> None:
        self.method, self.watch, self.networks = method, watch, method.networks

    def losses(self, network: str, step: TrainingStep) -> Losses:
        self.watch()
        return self.method.losses(network, step)

    def updates(self, step: int) -> Sequence[str]:
        return self.method.updates(step)

    def state(self) -> dict[str, object]:
        return self.method.state()

    def load_state(self, state: Mapping[str, object]) -> None:
        self.method.load_state(state)

    @classmethod
    def cost(cls, settings: object, batch: int, rewarded: bool) -> MethodCost:
        return MethodCost(1, 1, 1)


def _without_times(lines: list[dict[str, float]]) -> list[dict[str, float]]:
    return [{name: value for name, value in line.items() if name != "seconds"} for line in lines]


def _noted(saved: list[int], save: Callable[..., None]) -> Callable[..., None]:
    """Saves, and notes the step."""

    def noted(folder: Path, state: TrainingState, rank: int) -> None:
        saved.append(state.engines["student"]._schedule.lr_lambdas[0].step)  # type: ignore[attr-defined]
        save(folder, state, rank)

    return noted


def _stops_at_call(job: TrainingJob, call: int) -> Callable[[torch.device], Method]:
    calls = itertools.count(1)

    def stop() -> None:
        if next(calls) == call:
            raise KeyboardInterrupt

    return lambda device: Watched(job.build(device), stop)


def _watched(job: TrainingJob, seen: list[bool]) -> Callable[[torch.device], Method]:
    """Notes at every step whether the student recomputes its activations."""

    def build(device: torch.device) -> Method:
        method = job.build(device)
        student: Any = method.networks["student"].module
        return Watched(method, lambda: seen.append(student.gradient_checkpointing))

    return build
