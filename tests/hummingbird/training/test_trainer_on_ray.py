"""The trainer on Ray Train with DeepSpeed, ZeRO-2, two workers over gloo."""

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import ray
import torch
from hummingbird.config.cluster import RaySettings
from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.lake.lake import Lake
from hummingbird.models.pipeline import load_pipeline
from hummingbird.training.loop import TrainingJob
from hummingbird.training.methods.base import Method
from hummingbird.training.trainer import _fit, train
from ray.train import WorkerGroupError
from safetensors.torch import load_file

UNET = "diffusion_pytorch_model.safetensors"


def test_two_workers_train_on_different_clips(
    make_job: Callable[..., TrainingJob], ray_cluster: None, tmp_path: Path
) -> None:
    job, seen = make_job(steps=3), tmp_path / "seen"
    seen.mkdir()
    train(dataclasses.replace(job, build=_watched(job, seen, kill_at=0)), RaySettings())
    clips = [
        {clip for file in seen.glob(f"{rank}-*") for clip in json.loads(file.read_text())} for rank in (0, 1)
    ]
    assert len(clips[0]) == len(clips[1]) == 6
    assert not clips[0] & clips[1]
    assert [line["step"] for line in log_of(job)] == [1, 2, 3]
    trained = load_file(job.folder / "unet" / UNET)
    start = job.build(torch.device("cpu")).networks["student"].module.state_dict()
    assert any(not torch.equal(tensor, start[name]) for name, tensor in trained.items())


@pytest.mark.slow
def test_two_networks_are_trained_as_in_one_process(
    make_job: Callable[..., TrainingJob],
    two_networks: Callable[[torch.device], Method],
    ray_cluster: None,
    tmp_path: Path,
) -> None:
    """One engine a network; cut off after the checkpoint of step 2 and taken up."""
    plain = dataclasses.replace(make_job(two_networks, engine="process", steps=4), folder=tmp_path / "plain")
    train(plain, RaySettings())
    job = make_job(two_networks, steps=4, workers=1)
    marks = tmp_path / "marks"
    marks.mkdir()
    train(dataclasses.replace(job, build=_watched(job, marks, kill_at=7, rank=0)), RaySettings())
    assert (marks / "killed").exists()
    for ours, theirs in zip(log_of(job), log_of(plain), strict=True):
        for name in ours.keys() - {"seconds"}:
            assert ours[name] == pytest.approx(theirs[name], rel=1e-3, abs=1e-6)


@pytest.mark.slow
def test_a_lost_worker_is_replaced_and_the_run_ends_as_without_the_loss(
    make_job: Callable[..., TrainingJob], ray_cluster: None, tmp_path: Path
) -> None:
    whole = dataclasses.replace(make_job(steps=4), folder=tmp_path / "whole")
    train(whole, RaySettings())
    killed = dataclasses.replace(whole, folder=tmp_path / "killed")
    marks = tmp_path / "marks"
    marks.mkdir()
    train(dataclasses.replace(killed, build=_watched(killed, marks, kill_at=4)), RaySettings())
    assert (marks / "killed").exists()
    assert [line["step"] for line in log_of(killed)] == [1, 2, 3, 4]
    totals = [[line["total"] for line in log_of(job)] for job in (whole, killed)]
    assert totals[1] == pytest.approx(totals[0], rel=1e-5)
    weights = load_file(whole.folder / "unet" / UNET)
    for name, tensor in load_file(killed.folder / "unet" / UNET).items():
        torch.testing.assert_close(tensor, weights[name], rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_workers_killed_in_the_middle_of_every_save_cost_no_step_and_change_no_loss(
    make_job: Callable[..., TrainingJob], ray_cluster: None, tmp_path: Path
) -> None:
    """The one worker and the other by turns, each after it has written its part of the networks."""
    whole = dataclasses.replace(make_job(steps=10), folder=tmp_path / "whole")
    train(whole, RaySettings())
    marks = tmp_path / "marks"
    marks.mkdir()
    killed = dataclasses.replace(whole, folder=tmp_path / "killed", build=_dying_in_saves(whole, marks))
    train(killed, RaySettings())
    assert sorted(path.name for path in marks.iterdir()) == ["save-0", "save-1", "save-2", "save-3", "save-4"]
    assert [line["step"] for line in log_of(killed)] == list(range(1, 11))
    totals = [[line["total"] for line in log_of(job)] for job in (whole, killed)]
    assert totals[1] == pytest.approx(totals[0], rel=1e-5)
    weights = load_file(whole.folder / "unet" / UNET)
    for name, tensor in load_file(killed.folder / "unet" / UNET).items():
        torch.testing.assert_close(tensor, weights[name], rtol=1e-4, atol=1e-6)


@pytest.mark.slow
@pytest.mark.usefixtures("interruptible", "ray_cluster")
def test_an_interruption_ends_the_training_and_later_ones_are_heard(
    make_job: Callable[..., TrainingJob],
) -> None:
    job = make_job(steps=10_000)

    def interrupt() -> None:
        try:
            wait_for(lambda: (job.folder / "losses.jsonl").is_file() and bool(log_of(job)), 240)
        finally:  # else 10,000 steps follow
            os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        train(job, RaySettings())
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    wait_for(lambda: ray.available_resources().get("CPU") == 2, 60)  # its workers are gone


def test_more_workers_than_the_cluster_has_is_an_error_not_a_wait(
    make_job: Callable[..., TrainingJob], ray_cluster: None
) -> None:
    with pytest.raises(InputError, match="need 3 CPUs"):
        train(make_job(workers=3), RaySettings())


def log_of(job: TrainingJob) -> list[dict[str, float]]:
    return [json.loads(line) for line in (job.folder / "losses.jsonl").read_text().splitlines()]


def _watched(job: TrainingJob, folder: Path, kill_at: int, rank: int = 1) -> Callable[[torch.device], Method]:
    """The job's method; each rank writes down its clips, and ``rank`` dies in its ``kill_at``-th update, once."""
    dies = rank

    def build(device: torch.device) -> Method:
        method = job.build(device)
        rank = int(os.environ["RANK"])

        class Watched(type(method)):
            calls = 0

            def losses(self, network, step):
                self.calls += 1
                clips = step.batch["captions"]
                (folder / f"{rank}-{self.calls}").write_text(json.dumps(clips))
                if rank == dies and self.calls == kill_at and not (folder / "killed").exists():
                    (folder / "killed").touch()
                    os._exit(1)
                return super().losses(network, step)

        method.__class__ = Watched
        return method

    return build


def _dying_in_saves(job: TrainingJob, folder: Path) -> Callable[[torch.device], Method]:
    """The job's method; in the first try of each save, the last part of which is the method's, one worker dies."""

    def build(device: torch.device) -> Method:
        method = job.build(device)
        rank, number = int(os.environ["RANK"]), len(list(folder.iterdir()))

        class Dying(type(method)):
            saves = 0

            def state(self):
                self.saves += 1
                # Workers that were started after a death try that save again first.
                if number < 5 and self.saves == (2 if number else 1) and rank == number % 2:
                    (folder / f"save-{number}").touch()
                    os._exit(1)
                return super().state()

        method.__class__ = Dying
        return method

    return build


@pytest.mark.slow
def test_a_job_killed_and_started_again_goes_on_from_its_checkpoint(
    tiny_teacher: Path, write_cache: Callable[..., Path], tmp_path: Path
) -> None:
    cache = write_cache(tmp_path / "cache", pipeline=tiny_teacher)
    settings = Settings(storage=tmp_path / "runs")
    about = json.loads((cache / "cache.json").read_text())
    (cache / "cache.json").write_text(json.dumps({**about, "snapshot_id": Lake.open(settings).snapshot()}))
    overrides = ["distill.steps=40", "distill.batch_size=1", "training.checkpoint_every=5", "ray.num_cpus=2"]
    command = [sys.executable, "jobs/distill.py", "--storage", str(settings.storage)]
    command += ["--teacher", str(tiny_teacher), "--student", str(tiny_teacher), "--cache", str(cache)]
    command += overrides

    with (tmp_path / "output").open("w") as output:
        killed = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        wait_for(lambda: recorded(settings) >= 5 or killed.poll() is not None)
    finally:
        killed.kill()
        killed.wait()
    before, kept = logged(settings), recorded(settings)
    assert 5 <= kept <= len(before) < 40, (tmp_path / "output").read_text()

    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    result = json.loads(Path(again.stdout.splitlines()[-1]).read_text())
    assert result["state"] == "finished"
    after = logged(settings)
    assert [line["step"] for line in after] == list(range(1, 41))
    assert after[:kept] == before[:kept]  # with their times: these steps were not done again
    pipeline = load_pipeline(result["outputs"]["pipeline"])
    assert pipeline.scheduler.config.guidance_scale == 1.0


def logged(settings: Settings) -> list[dict[str, float]]:
    lines = [line for file in settings.storage.glob("distill/*/losses.jsonl") for line in file.open()]
    return [json.loads(line) for line in lines if line.endswith("\n")]


def recorded(settings: Settings) -> int:
    """The step of the last checkpoint that Ray Train knows of: it asks the workers every two seconds only."""
    files = list(settings.storage.glob("distill/*/ray/*/checkpoint_manager_snapshot.json"))
    files += settings.storage.glob("distill/*/ray/checkpoint_manager_snapshot.json")
    return max(
        (int(step) for file in files for step in re.findall(r"step_(\d+)", file.read_text())), default=0
    )


def wait_for(condition: Callable[[], bool], seconds: float = 900) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.1)


def test_losses_of_workers_count_since_the_last_checkpoint(make_job: Callable[..., TrainingJob]) -> None:
    job, ends = make_job(steps=8), []

    class Lost:
        """A training that loses more workers than it may; twice it has saved a checkpoint before."""

        controller = None

        def fit(self) -> None:
            ends.append(len(ends) + 1)
            if len(ends) < 3:
                (job.folder / "ray" / f"step_{ends[-1]:08d}").mkdir(parents=True)
            raise WorkerGroupError("lost", {0: RuntimeError("lost")})

    with pytest.raises(WorkerGroupError):
        _fit(Lost, job)
    assert ends == [1, 2, 3]

    class Unfit(Lost):
        def fit(self) -> None:
            raise WorkerGroupError("unfit", {1: InputError("the node x does not see the storage")})

    with pytest.raises(InputError, match="the node x"):
        _fit(Unfit, job)
