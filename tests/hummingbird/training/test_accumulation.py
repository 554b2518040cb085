"""Several batches an optimizer step."""

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from hummingbird.config.cluster import RaySettings
from hummingbird.training.data import cached_latents
from hummingbird.training.log import read_losses
from hummingbird.training.loop import TrainingJob
from hummingbird.training.methods.base import (
    Losses,
    Method,
    TrainingStep,
)
from hummingbird.training.trainer import train, train_in_process
from plain_denoising import denoising


def test_small_batches_together_train_as_one_large_batch(
    make_job: Callable[..., TrainingJob], tmp_path: Path
) -> None:
    """The samples of an epoch come in the same order, so that both see the same ones a step."""
    trained = []
    for size, count in ((4, 1), (2, 2), (1, 4)):
        job = make_job(engine="process", steps=3, gradient_accumulation=count)
        job = dataclasses.replace(
            job,
            build=denoising(job),
            data=partial(cached_latents, tmp_path / "cache", size, 3),
            folder=tmp_path / f"{count}",
        )
        module = train_in_process(job)
        trained.append((module.state_dict(), read_losses(job.folder)))
    for weights, lines in trained[1:]:
        assert [line["step"] for line in lines] == [1, 2, 3]
        for ours, theirs in zip(lines, trained[0][1], strict=True):
            for term in ("total", "error", "gradient_norm", "learning_rate"):
                assert ours[term] == pytest.approx(theirs[term], rel=1e-4)
        for name, tensor in weights.items():
            torch.testing.assert_close(tensor, trained[0][0][name], rtol=1e-4, atol=2e-5)


def test_a_run_of_several_batches_a_step_goes_on_exactly(
    make_job: Callable[..., TrainingJob], tmp_path: Path
) -> None:
    whole = dataclasses.replace(
        make_job(engine="process", steps=4, gradient_accumulation=3), folder=tmp_path / "whole"
    )
    train(whole, RaySettings())
    cut = dataclasses.replace(whole, folder=tmp_path / "cut")

    def stopping(device: torch.device) -> Method:
        method = cut.build(device)
        losses, calls = method.losses, iter(range(100))

        def stop(network: str, step: TrainingStep) -> Losses:
            if next(calls) == 7:  # in the third step
                raise KeyboardInterrupt
            return losses(network, step)

        method.losses = stop  # type: ignore[method-assign]
        return method

    with pytest.raises(KeyboardInterrupt):
        train(dataclasses.replace(cut, build=stopping), RaySettings())
    train(cut, RaySettings())
    totals = [[line["total"] for line in read_losses(job.folder)] for job in (whole, cut)]
    assert totals[0] == totals[1]
