"""Held-out rewards: they stop a planted hack, and let good runs go on."""

import dataclasses
import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from hummingbird.config.cluster import RaySettings
from hummingbird.config.feedback import HeldOutSettings
from hummingbird.core.errors import InputError
from hummingbird.models.scheduler import VideoScheduler
from hummingbird.training.log import read_losses
from hummingbird.training.loop import TrainingJob, TrainingStopped
from hummingbird.training.methods.base import Method, MethodInputs
from hummingbird.training.methods.consistency import ConsistencyDistillation, ConsistencySettings
from hummingbird.training.rewards.base import Reward, RewardDeclaration, RewardSettings
from hummingbird.training.rewards.held_out import HeldOutWatch
from hummingbird.training.rewards.term import RewardTerm, check_licences, resolve_rewards
from hummingbird.training.trainer import train
from torch import Tensor

CPU = torch.device("cpu")
SETTINGS = HeldOutSettings(rewards={"judge": {}}, every=1, window=4, drop=0.02)


def read(held: Sequence[float], trained: Sequence[float], **changes: object) -> list[str]:
    watch = HeldOutWatch(SETTINGS.model_copy(update=changes), {"trained": 2.0})
    lines = [
        {"step": 1, "reward/trained": t, "held_out/judge": h} for h, t in zip(held, trained, strict=True)
    ]
    return [text for line in lines for text in watch.read([line])]


def wandering(start: float, slope: float, noise: float, seed: int = 0, count: int = 40) -> list[float]:
    draw = random.Random(seed)
    return [start + slope * step + draw.gauss(0, noise) for step in range(count)]


def test_a_held_out_reward_that_falls_while_trained_ones_rise_is_told() -> None:
    said = read(wandering(0.6, -0.01, 0.005), wandering(0.2, 0.01, 0.005, seed=1))
    assert said
    assert "the held-out reward judge fell from 0.5" in said[0]
    assert "they are cheated" in said[0]
    # It may also rise at first.
    turning = [0.5 + 0.01 * min(step, 30 - step) for step in range(40)]
    assert read(turning, wandering(0.2, 0.01, 0.001))


@pytest.mark.parametrize("seed", range(5))
def test_good_runs_and_noise_are_not_told(seed: int) -> None:
    rising = wandering(0.2, 0.01, 0.005, seed)
    assert not read(wandering(0.3, 0.005, 0.02, seed + 10), rising)  # both rise
    assert not read(wandering(0.5, 0.0, 0.015, seed + 20), rising)  # noise
    assert not read(wandering(0.6, -0.01, 0.005, seed + 30), wandering(0.5, -0.01, 0.005, seed))  # both fall
    assert not read(wandering(0.6, -0.0002, 0.0005, seed), rising)  # within what may be lost


class Brightness(Reward):
    """What is trained on: bright frames."""

    @classmethod
    def declare(cls, settings: RewardSettings) -> RewardDeclaration:
        return RewardDeclaration(2, "even")

    def score(self, video: Tensor, captions: Sequence[str]) -> Tensor:
        return video.mean((1, 2, 3, 4))


class Moderation(Brightness):
    """What is watched: frames that are neither dark nor bright."""

    def score(self, video: Tensor, captions: Sequence[str]) -> Tensor:
        return -(video - 0.5).square().mean((1, 2, 3, 4))


def hacked(job: TrainingJob, action: str) -> Callable[[torch.device], Method]:
    def build(device: torch.device) -> Method:
        made = job.build(device)
        teacher, student = made._teacher.model, made.networks["student"].module  # type: ignore[attr-defined]
        rewards, held = ({name: (kind(RewardSettings(), device), kind.declare(RewardSettings()))}
                         for name, kind in (("bright", Brightness), ("moderate", Moderation)))  # fmt: skip
        watched = HeldOutSettings(rewards={"moderate": {}}, every=1, window=2, drop=0.05, action=action)  # type: ignore[arg-type]
        weights = {"bright": 5.0}
        term = RewardTerm(
            rewards,
            weights,
            lambda latents: latents[:, :3].transpose(1, 2),
            held_out=held,
            watch=HeldOutWatch(watched, weights),
        )
        inputs = MethodInputs(teacher, student, VideoScheduler(), VideoScheduler(), torch.zeros(6, 16), term)
        return ConsistencyDistillation(ConsistencySettings(solver_steps=20, guidance_size=4), inputs)

    return build


def test_a_planted_hack_stops_the_run_and_keeps_a_checkpoint(make_job: Callable[..., TrainingJob]) -> None:
    job = make_job(engine="process", steps=60, checkpoint_every=4)
    job = dataclasses.replace(job, learning_rate=3e-3, build=hacked(job, "stop"))
    with pytest.raises(
        TrainingStopped, match=r"held-out reward moderate fell .* the checkpoint of step \d+ stays"
    ):
        train(job, RaySettings())
    lines = read_losses(job.folder)
    assert 14 <= lines[-1]["step"] < 60
    assert {"held_out/moderate", "reward/bright"} <= set(lines[0])
    (event,) = (json.loads(line) for line in (job.folder / "events.jsonl").read_text().splitlines())
    assert event["step"] == lines[-1]["step"]
    (kept,) = (job.folder / "checkpoint").glob("step_*")
    assert int(kept.name.removeprefix("step_")) <= lines[-1]["step"]


def test_weights_can_be_lowered_instead_and_stay_so() -> None:
    bright = {"bright": (Brightness(RewardSettings(), CPU), RewardDeclaration(2))}

    def term() -> RewardTerm:
        watch = HeldOutWatch(SETTINGS.model_copy(update={"action": "lower"}), {"bright": 5.0})
        return RewardTerm(bright, {"bright": 5.0}, _decode, held_out=bright, watch=watch)

    first = term()
    lines = [{"step": at, "reward/bright": 0.01 * at, "held_out/judge": 1 - 0.01 * at} for at in range(20)]
    (event,) = first.read(lines)
    assert not event.stops
    assert event.text.endswith("their weights are 0.5 of what they were")
    assert first.weights_at(1.0) == {"bright": 2.5}
    again = term()
    again.load_state(json.loads(json.dumps(first.state())))
    assert again.weights_at(1.0) == {"bright": 2.5}
    assert again.state() == first.state()


def test_weights_follow_a_schedule_and_decoding_in_parts_changes_no_gradient() -> None:
    bright = Brightness(RewardSettings(), CPU)
    settings = RewardSettings(weight=2.0, start=0.5, ramp=0.25)
    term = RewardTerm({"b": (bright, RewardDeclaration(8))}, {"b": 2.0}, _decode, settings={"b": settings})
    at = {share: term.weights_at(share).get("b") for share in (0.0, 0.49, 0.625, 0.75, 1.0)}
    assert at == {0.0: None, 0.49: None, 0.625: 1.0, 0.75: 2.0, 1.0: 2.0}
    slopes = []
    for parts in (None, 3):
        term = RewardTerm({"b": (bright, RewardDeclaration(8))}, {"b": 2.0}, _decode, decode_frames=parts)
        latents = torch.rand(2, 4, 8, 6, 6, generator=torch.Generator().manual_seed(0)).requires_grad_()
        total, _ = term.loss(lambda x=latents: (x, ["", ""]), 0.0, 1, torch.Generator())  # type: ignore[misc]
        assert total is not None
        slopes.append(torch.autograd.grad(total, latents)[0])
    torch.testing.assert_close(slopes[0], slopes[1])


def test_licences_are_obeyed(tiny_clip: Path, tiny_xclip: Path) -> None:
    for name, folder, free in (("image_text", tiny_clip, True), ("video_text", tiny_xclip, False)):
        rewards = resolve_rewards("feedback.rewards", {name: {"model": str(folder)}})
        check_licences("feedback.rewards", rewards, allow_noncommercial=True)
        if free:
            check_licences("feedback.rewards", rewards, allow_noncommercial=False)
        else:
            with pytest.raises(
                InputError, match=r"'cc-by-nc-4\.0' and feedback.allow_noncommercial is false"
            ):
                check_licences("feedback.rewards", rewards, allow_noncommercial=False)
    check_licences(
        "feedback.rewards", resolve_rewards("feedback.rewards", {"motion": {}}), False
    )  # no weights


def _decode(latents: Tensor) -> Tensor:
    return torch.sin(3 * latents[:, :3]).transpose(1, 2)
