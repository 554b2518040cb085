"""The trainer on Ray Train with DeepSpeed, ZeRO-2, two workers over gloo."""

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hummingbird.compression.loop import Job
from hummingbird.compression.methods.base import Method
from hummingbird.compression.trainer import train
from hummingbird.config.cluster import RaySettings
from hummingbird.config.section import InputError
from safetensors.torch import load_file
from torch import nn

UNET = "diffusion_pytorch_model.safetensors"


@pytest.mark.slow
def test_two_workers_survive_a_kill_and_end_as_without_it(
    make_job: Callable[..., Job], ray_cluster: None, tmp_path: Path
) -> None:
    whole = dataclasses.replace(make_job(steps=4), folder=tmp_path / "whole")
    seen = tmp_path / "seen"
    seen.mkdir()
    train(dataclasses.replace(whole, build=_watched(whole, seen, kill_at=0)), RaySettings())
    # Two ranks, each its own clips.
    clips = [
        {clip for file in seen.glob(f"{rank}-*") for clip in json.loads(file.read_text())} for rank in (0, 1)
    ]
    assert len(clips[0]) == len(clips[1]) == 6
    assert not clips[0] & clips[1]

    killed = dataclasses.replace(whole, folder=tmp_path / "killed")
    marks = tmp_path / "marks"
    marks.mkdir()
    train(dataclasses.replace(killed, build=_watched(killed, marks, kill_at=4)), RaySettings())
    assert (marks / "killed").exists()
    logs = [[json.loads(line) for line in (job.folder / "losses.jsonl").open()] for job in (whole, killed)]
    assert [line["step"] for line in logs[1]] == [1, 2, 3, 4]
    assert [line["total"] for line in logs[1]] == pytest.approx([line["total"] for line in logs[0]], rel=1e-5)
    weights = load_file(whole.folder / "unet" / UNET)
    for name, tensor in load_file(killed.folder / "unet" / UNET).items():
        torch.testing.assert_close(tensor, weights[name], rtol=1e-4, atol=1e-6)


def test_more_workers_than_the_cluster_has_is_an_error_not_a_wait(
    make_job: Callable[..., Job], ray_cluster: None
) -> None:
    with pytest.raises(InputError, match="needs 3 CPUs"):
        train(make_job(workers=3), RaySettings())


def _watched(job: Job, folder: Path, kill_at: int) -> Callable[[torch.device], tuple[nn.Module, Method]]:
    """The job's method; each rank writes down its clips, and rank 1 dies in its ``kill_at``-th step, once."""

    def build(device: torch.device) -> tuple[nn.Module, Method]:
        student, method = job.build(device)
        rank = int(os.environ["RANK"])

        class Watched(Method):
            calls = 0

            def losses(self, average, student, batch, generator):
                self.calls += 1
                clips = batch["input_ids"][:, 0].tolist()
                (folder / f"{rank}-{self.calls}").write_text(json.dumps(clips))
                if rank == 1 and self.calls == kill_at and not (folder / "killed").exists():
                    (folder / "killed").touch()
                    os._exit(1)
                return method.losses(average, student, batch, generator)

        return student, Watched()

    return build
