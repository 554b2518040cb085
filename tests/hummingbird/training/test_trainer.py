"""The trainer in one plain process."""

import dataclasses
import itertools
import json
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hummingbird.config.cluster import RaySettings
from hummingbird.training import loop
from hummingbird.training.loop import Job
from hummingbird.training.methods.base import Losses, Method
from hummingbird.training.trainer import train
from safetensors.torch import load_file
from torch import nn

UNET = "diffusion_pytorch_model.safetensors"


def log_of(job: Job) -> list[dict[str, float]]:
    return [json.loads(line) for line in (job.folder / "losses.jsonl").read_text().splitlines()]


def test_a_run_that_was_cut_off_ends_as_one_that_was_not(
    make_job: Callable[..., Job], tmp_path: Path
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


def test_a_checkpoint_that_was_cut_off_leaves_the_one_before(
    make_job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
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


def test_training_learns_and_logs_every_term(make_job: Callable[..., Job]) -> None:
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
    make_job: Callable[..., Job], tmp_path: Path
) -> None:
    totals = []
    for on in (False, True):
        job = make_job(engine="process", steps=2, checkpointing=on)
        job = dataclasses.replace(job, folder=tmp_path / f"{on}")
        seen: list[bool] = []
        train(dataclasses.replace(job, build=_watched(job, seen)), RaySettings())
        assert seen == [on, on]
        totals.append([line["total"] for line in log_of(job)])
    assert totals[0] == pytest.approx(totals[1], rel=1e-4)


def test_a_student_loaded_for_evaluation_trains_with_its_dropout(make_job: Callable[..., Job]) -> None:
    job, students = make_job(engine="process", steps=2), []

    def build(device: torch.device) -> tuple[nn.Module, Method]:
        student, method = job.build(device)
        students.append(student.eval())
        return student, method

    train(dataclasses.replace(job, build=build), RaySettings())
    assert all(module.training for module in students[0].modules())


def test_a_run_with_a_time_limit_ends_in_time_also_when_it_was_cut_off(
    make_job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
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


def test_a_loss_that_is_not_finite_ends_the_run(make_job: Callable[..., Job]) -> None:
    def build(device: torch.device) -> tuple[nn.Module, Method]:
        student, method = make_job().build(device)
        with torch.no_grad():
            next(student.parameters()).fill_(float("nan"))
        return student, method

    with pytest.raises(FloatingPointError, match="step 1"):
        train(make_job(build, engine="process"), RaySettings())


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


def _stops_at_call(job: Job, call: int) -> Callable[[torch.device], tuple[nn.Module, Method]]:
    class Stops(Method):
        def __init__(self, method: Method) -> None:
            self.method, self.calls = method, 0

        def losses(self, *args: object) -> Losses:
            self.calls += 1
            if self.calls == call:
                raise KeyboardInterrupt
            return self.method.losses(*args)  # type: ignore[arg-type]

    def build(device: torch.device) -> tuple[nn.Module, Method]:
        student, method = job.build(device)
        return student, Stops(method)

    return build


def _watched(job: Job, seen: list[bool]) -> Callable[[torch.device], tuple[nn.Module, Method]]:
    """Notes at every step whether the student recomputes its activations."""

    def build(device: torch.device) -> tuple[nn.Module, Method]:
        student, method = job.build(device)

        class Watched(Method):
            def losses(self, *args: object) -> Losses:
                seen.append(student.gradient_checkpointing)  # type: ignore[arg-type]
                return method.losses(*args)  # type: ignore[arg-type]

        return student, Watched()

    return build
