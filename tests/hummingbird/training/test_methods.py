"""The methods' losses on models whose outputs are known."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hummingbird.models.architectures import unet_config
from hummingbird.models.scheduler import VideoScheduler
from hummingbird.models.unet import VideoUNet
from hummingbird.training.latent_cache import Batch
from hummingbird.training.loop import mixed_precision
from hummingbird.training.methods.base import (
    GuidedTeacher,
    Losses,
    Method,
    MethodInputs,
    TrainingStep,
)
from hummingbird.training.methods.consistency import (
    ConsistencyDistillation,
    ConsistencySettings,
    pseudo_huber,
    with_guidance_embedding,
)
from hummingbird.training.methods.distillation import Distillation, DistillationSettings
from hummingbird.training.methods.phased import PhasedConsistency, PhasedConsistencySettings
from hummingbird.training.methods.replay import ReplayBuffer
from hummingbird.training.rewards.base import Reward, RewardDeclaration
from hummingbird.training.rewards.term import RewardTerm
from torch import Tensor, nn

SHAPE = (2, 4, 8, 4, 4)


class Known(nn.Module):
    """Noise: a constant plus the text's mean, after dropout; features, twice the input; keeps its calls."""

    config = SimpleNamespace(guidance_size=8, down_stages=[{}], middle=False)

    def __init__(self, constant: float) -> None:
        super().__init__()
        self.constant, self.dropout = nn.Parameter(torch.tensor(constant)), nn.Dropout(0.5)
        self.calls: list[dict[str, Any]] = []

    def forward(
        self, sample, timestep, encoder_hidden_states, fps=None, guidance=None, return_features=False
    ):
        self.calls.append(
            {"x": sample, "t": timestep, "text": encoder_hidden_states, "fps": fps, "w": guidance}
        )
        shift = encoder_hidden_states.mean(dim=(1, 2)).view(-1, 1, 1, 1, 1)
        noise = self.dropout(torch.ones_like(sample)) * (self.constant + shift)
        return (noise, [2 * sample.flatten(1)] * 2) if return_features else noise


class Additive(VideoScheduler):
    """x is x0 plus 0.1 t times the noise."""

    def add_noise(self, x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        return x0 + 0.1 * t.view(-1, 1, 1, 1, 1) * noise

    def estimates(self, output: Tensor, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        return x - 0.1 * t.view(-1, 1, 1, 1, 1) * output, output

    def ddim_step(self, x0: Tensor, eps: Tensor, t: Tensor, earlier: Tensor) -> Tensor:
        return self.add_noise(x0, eps, earlier)


def batch() -> Batch:
    return {
        "latents": torch.zeros(SHAPE),
        "text": torch.full((2, 3, 5), 0.25),
        "fps": torch.tensor([8.0, 24.0]),
        "captions": ["first", "second"],
    }


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def inputs_of(
    teacher: nn.Module, student: nn.Module, process: VideoScheduler, empty: float = -0.25, **more: Any
) -> MethodInputs:
    return MethodInputs(teacher, student, process, process, torch.full((3, 5), empty), **more)


def losses_of(
    method: Method, student: nn.Module, average: nn.Module, seed: int = 0, progress: float = 0.0
) -> Losses:
    drawn = generator(seed)
    step = TrainingStep({"student": student}, {"student": average}, batch(), drawn, drawn, progress=progress)
    return method.losses("student", step)


def test_the_teacher_is_guided_frozen_and_in_evaluation_mode() -> None:
    model = Known(1.0).train()
    teacher = GuidedTeacher(model, torch.full((3, 5), -0.25))
    x, t, fps = torch.ones(SHAPE), torch.tensor([3, 4]), torch.tensor([8.0, 24.0])
    noise, (feature, _) = teacher(x, t, batch()["text"], fps, 3.0)
    # Conditional 1.25, unconditional 0.75: 0.75 + 3 * 0.5, without dropout.
    torch.testing.assert_close(noise, torch.full(SHAPE, 2.25))
    scaled, _ = teacher(x, t, batch()["text"], fps, torch.tensor([1.0, 5.0]))
    torch.testing.assert_close(scaled.mean(dim=(1, 2, 3, 4)), torch.tensor([1.25, 3.25]))
    assert feature.shape[0] == 2
    assert not noise.requires_grad
    assert not model.training
    assert not model.constant.requires_grad
    call = model.calls[0]
    assert torch.equal(
        call["fps"], torch.tensor([8.0, 24.0, 8.0, 24.0])
    )  # both passes at the clip's frame rate
    assert torch.equal(call["t"], torch.tensor([3, 4, 3, 4]))
    assert torch.equal(call["text"][2:], torch.full((2, 3, 5), -0.25))


def test_a_teacher_without_guidance_makes_one_pass() -> None:
    model = Known(1.0)
    teacher = GuidedTeacher(model, torch.full((3, 5), -0.25))
    x, t = torch.ones(SHAPE), torch.tensor([3, 4])
    noise, (feature, _) = teacher(x, t, batch()["text"], batch()["fps"], 1.0)
    torch.testing.assert_close(noise, torch.full(SHAPE, 1.25))
    assert feature.shape[0] == len(model.calls[0]["x"]) == 2


def test_distillation_losses_on_known_outputs() -> None:
    teacher, student = Known(1.0), Known(0.5).eval()
    settings = DistillationSettings(guidance_scale=3.0, feature_weight=0.5)
    method = Distillation(settings, inputs_of(teacher, student, Additive()))
    losses = losses_of(method, student, student)
    # Guided teacher 2.25, student 0.75; the features are equal.
    assert float(losses.terms["output"]) == pytest.approx(1.5**2)
    assert float(losses.terms["feature_0"]) == 0.0
    assert losses.total.item() == pytest.approx(2.25)
    assert torch.equal(student.calls[0]["x"], teacher.calls[0]["x"][:2])
    losses.total.backward()
    assert float(student.constant.grad) == pytest.approx(-3.0)


def test_distillation_compares_features_relative_to_the_teachers() -> None:
    class Scaled(Known):
        def forward(self, *args, **kwargs):
            noise, features = super().forward(*args, **kwargs)
            return noise, [3 * feature for feature in features]

    student = Scaled(1.0).eval()
    settings = DistillationSettings(guidance_scale=1.0, feature_weight=0.5)
    method = Distillation(settings, inputs_of(Known(1.0), student, Additive(), empty=0.0))
    losses = losses_of(method, student, Known(1.0))
    assert float(losses.terms["feature_0"]) == pytest.approx(4.0, rel=1e-5)  # (3 f - f)^2 / f^2
    assert losses.total.item() == pytest.approx(2.0, rel=1e-5)


def test_pseudo_huber_on_known_values() -> None:
    d = torch.tensor([0.0, 0.001, 3.0])
    expected = (0.0 + 0.001 * (2**0.5 - 1) + (9 + 1e-6) ** 0.5 - 0.001) / 3
    assert float(pseudo_huber(d, torch.zeros(3))) == pytest.approx(expected, rel=1e-4)


def test_the_target_is_guided_as_the_teacher_is_sampled_unless_told_otherwise() -> None:
    process = VideoScheduler(guidance_scale=6.0)
    for scale, expected in ((None, 6.0), (2.0, 2.0)):
        settings = DistillationSettings(guidance_scale=scale, feature_weight=0.0)
        student = Known(0.5).eval()
        method = Distillation(settings, inputs_of(Known(1.0), student, process))
        # Guided 0.75 + s * 0.5, student 0.75.
        assert losses_of(method, student, student).total.item() == pytest.approx((expected * 0.5) ** 2)


def test_few_step_methods_have_no_rescale_of_x0() -> None:
    rescaled = VideoScheduler(x0_scale=0.7)
    totals = []
    for process in (rescaled, VideoScheduler()):
        student = Known(0.5).eval()
        method = ConsistencyDistillation(ConsistencySettings(), inputs_of(Known(1.0), student, process))
        totals.append(losses_of(method, student, student).total.item())
    assert totals[0] == totals[1]


def consistency(teacher: nn.Module, student: nn.Module, empty: float = -0.25, **more: Any) -> Method:
    settings = ConsistencySettings(guidance_scale_min=6.0, guidance_scale_max=16.0, **more)
    return ConsistencyDistillation(settings, inputs_of(teacher, student, Additive(), empty))


def test_consistency_takes_one_solver_step_with_the_guided_teacher() -> None:
    teacher, student = Known(1.0), Known(0.5).eval()
    losses = losses_of(consistency(teacher, student), student, student)
    target_call, call = student.calls
    t, earlier, w = call["t"], target_call["t"], call["w"]
    assert set((t + 1).remainder(20).tolist()) == {0}
    assert torch.equal(earlier, (t - 20).clamp_min(0))
    assert torch.equal(w, target_call["w"])
    assert bool(((w >= 5) & (w <= 15)).all())
    assert w[0] != w[1]
    # The teacher's noise is cond + w (cond - uncond) = 1.25 + 0.5 w; the step goes along it from t to
    # earlier.
    shift = 0.1 * (t - earlier) * (1.25 + 0.5 * w)
    torch.testing.assert_close(target_call["x"], call["x"] - shift.view(-1, 1, 1, 1, 1), rtol=1e-5, atol=1e-3)
    # Both estimates subtract the student's 0.75 at their own timestep; c_out is almost 1.
    gap = 0.1 * (t - earlier) * 0.75 - shift
    assert losses.total.item() == pytest.approx(float(gap.abs().mean()), rel=2e-3)


def go(process: VideoScheduler, noise: float, x: Tensor, t: Tensor, end: Tensor) -> Tensor:
    """One solver step of a model whose noise is known."""
    return process.ddim_step(*process.estimates(torch.full_like(x, noise), x, t), t, end)


def in_phases(
    teacher: nn.Module,
    student: nn.Module | None = None,
    rewards: RewardTerm | None = None,
    empty: float = -0.25,
    **more: Any,
) -> PhasedConsistency:
    """4 phases of 2 solver steps. The guided noise of a teacher of 1 is 1.25 + 2 (1.25 - 0.75) = 2.25."""
    settings = PhasedConsistencySettings(
        **{"guidance_scale_min": 3.0, "guidance_scale_max": 3.0, "solver_steps": 8, "phases": 4, **more}
    )
    inputs = inputs_of(teacher, student or Known(0.5), VideoScheduler(), empty, rewards=rewards)
    return PhasedConsistency(settings, inputs)


def expected_loss(process: VideoScheduler, call: dict[str, Any], reached: Tensor) -> Any:
    """For a student whose noise is 0.75."""
    x, t = call["x"], call["t"]
    wanted = process.x0_leading_to(reached, x, t, process.phase_end(t))
    estimate = process.estimates(torch.full_like(x, 0.75), x, t)[0]
    return pytest.approx(float(pseudo_huber(estimate, wanted)), rel=1e-4)


def test_in_phases_the_student_must_arrive_where_its_target_does() -> None:
    """At the teacher's step itself, or where the student goes from there."""
    process = VideoScheduler(solver_steps=8, phases=4)
    student = Known(0.5).eval()
    method = in_phases(Known(1.0))
    seen = set()
    for seed in range(4):
        losses = losses_of(method, student, student, seed)
        x, t = (student.calls[-1][name] for name in ("x", "t"))
        earlier, end = (t - 125).clamp_min(0), process.phase_end(t)
        reached = go(process, 2.25, x, t, earlier)
        there = earlier == end
        onward = go(process, 0.75, reached, earlier, end)
        reached = torch.where(there.view(-1, 1, 1, 1, 1), reached, onward)
        assert losses.total.item() == expected_loss(process, student.calls[-1], reached)
        seen |= set(there.tolist())
    assert seen == {True, False}


def test_a_teacher_as_target_goes_on_to_the_end_of_the_phase() -> None:
    process = VideoScheduler(solver_steps=8, phases=4)
    student = Known(0.5).eval()
    method = in_phases(Known(1.0), target="teacher")
    seen = set()
    for seed in range(4):
        student.calls.clear()
        losses = losses_of(method, student, student, seed)
        (call,) = student.calls  # its own estimate is asked for nothing else
        t = call["t"]
        half = go(process, 2.25, call["x"], t, t - 125)
        reached = go(process, 2.25, half, t - 125, (t - 250).clamp_min(0))
        assert losses.total.item() == expected_loss(process, call, reached)
        seen |= set(t.tolist())
    assert seen == {999, 749, 499, 249}  # where sampling asks the student


def test_a_teacher_whose_phases_are_of_unequal_length_stops_at_their_ends() -> None:
    teacher = Known(1.0)
    process = VideoScheduler(solver_steps=10, phases=4)  # phases of 2, 2, 2 and 4 steps
    method = in_phases(teacher, target="teacher", solver_steps=10)
    student = Known(0.5).eval()
    for seed in range(4):
        losses = losses_of(method, student, student, seed)
        call = student.calls[-1]
        reached = torch.cat(
            [walk(process, 2.25, x[None], int(t)) for x, t in zip(call["x"], call["t"], strict=True)]
        )
        assert losses.total.item() == expected_loss(process, call, reached)


def walk(process: VideoScheduler, noise: float, x: Tensor, t: int) -> Tensor:
    """From t to the end of its phase in solver steps of 100."""
    end = int(process.phase_end(torch.tensor([t]))[0])
    for now in range(t, end, -100):
        x = go(process, noise, x, torch.tensor([now]), torch.tensor([max(now - 100, end)]))
    return x


def test_on_policy_samples_begin_where_the_averages_own_steps_lead() -> None:
    process = VideoScheduler(solver_steps=8, phases=4)
    student, average = Known(0.5).eval(), Known(0.6).eval()  # the average's noise is 0.85
    method = in_phases(Known(1.0), target="teacher", on_policy=1.0)
    seen = set()
    for seed in range(8):
        student.calls.clear()
        average.calls.clear()
        losses_of(method, student, average, seed)
        (call,) = student.calls
        led = torch.nonzero(call["t"] < 999).flatten().tolist()  # the first step leads these, in their order
        noise = average.calls[0]["x"]
        assert len(noise) == len(led)
        for row, x in zip(led, noise.split(1), strict=True):
            for now in range(999, int(call["t"][row]), -250):
                x = go(process, 0.85, x, torch.tensor([now]), torch.tensor([now - 250]))
            torch.testing.assert_close(call["x"][row : row + 1], x)
        for row in set(range(2)) - set(led):
            assert abs(float(call["x"][row].std()) - 1) < 0.2  # noise, and nothing of the clip
        seen |= set(call["t"].tolist())
    assert seen == {999, 749, 499, 249}


def test_each_answer_of_the_teacher_teaches_several_steps() -> None:
    teacher, student = Known(1.0), Known(0.5).eval()
    method = in_phases(teacher, target="teacher", reuse=3)
    losses = [losses_of(method, student, student, seed) for seed in range(6)]
    asked = [call["x"][:2] for call in teacher.calls[::2]]  # two solver steps each time
    learnt = [call["x"] for call in student.calls]
    assert len(asked) == 2
    assert torch.equal(learnt[0], asked[0])
    assert torch.equal(learnt[3], asked[1])
    again = [row for step in (1, 2, 4, 5) for row in learnt[step]]
    given = [row for answers in asked for row in answers]
    assert all(any(torch.equal(row, one) for one in given) for row in again)
    assert all(one.total.item() > 0 for one in losses)


def test_a_replay_buffer_forgets_the_oldest_and_goes_on_from_its_state() -> None:
    buffer = ReplayBuffer(uses=2, capacity=3)
    drawn = []
    for turn in range(40):
        if turn == 21:  # between a new batch and the drawn one
            state, buffer = buffer.state(), ReplayBuffer(uses=2, capacity=3)
            buffer.load_state(state)
        batch = buffer.next(
            lambda turn=turn: {"x": torch.full((4,), turn), "captions": [str(turn)] * 4}, generator(turn)
        )
        assert batch["captions"] == [str(int(x)) for x in batch["x"]]
        if turn % 2 == 0:
            assert batch["x"].tolist() == [turn] * 4
        else:
            drawn += [(turn - 1 - int(x)) // 2 for x in batch["x"]]
    assert set(drawn) == {0, 1, 2}


def test_a_replay_buffer_draws_rows_of_one_size_and_every_size_has_its_share() -> None:
    buffer, seen = ReplayBuffer(uses=2, capacity=4), []
    for turn in range(60):
        width = 3 + turn // 2 % 2
        batch = buffer.next(lambda width=width: {"x": torch.zeros(2, width)}, generator(turn))
        if turn % 2:
            seen.append(batch["x"].shape[1])
    assert set(seen[2:]) == {3, 4}


def test_in_phases_a_student_that_is_its_guided_teacher_has_nothing_to_learn() -> None:
    same = Known(1.0)
    method = in_phases(same, same, empty=0.25)
    same.requires_grad_(True)  # the teacher's is not
    losses = losses_of(method, same, same)
    assert losses.total.item() == pytest.approx(0.0, abs=1e-4)


def test_the_target_carries_no_gradient_and_can_come_from_the_average() -> None:
    student, average = Known(0.5).eval(), Known(0.7).eval()
    method = consistency(Known(1.0), student, empty=0.0, target="average")
    losses_of(method, student, average).total.backward()
    assert len(student.calls) == len(average.calls) == 1
    assert average.constant.grad is None
    assert student.constant.grad is not None


class Brightness(Reward):
    """Scores the mean of the pixels; keeps what it was shown."""

    def score(self, video: Tensor, captions: Sequence[str]) -> Tensor:
        self.video, self.captions = video, captions
        return video.mean(dim=(1, 2, 3, 4))

    @classmethod
    def declare(cls, settings: Any) -> RewardDeclaration:
        return RewardDeclaration(*settings)


def rewards_of(
    decode: Callable[[Tensor], Tensor], start: float = 0.0
) -> tuple[RewardTerm, Brightness, Brightness]:
    """Two frames at random with weight 1, four evenly spaced ones with weight 2."""
    images, whole = (Brightness(one, torch.device("cpu")) for one in ((2, "random"), (4, "even")))
    both = {"image": images, "video": whole}
    declared = {name: (reward, reward.declare(reward.settings)) for name, reward in both.items()}
    return RewardTerm(declared, {"image": 1.0, "video": 2.0}, decode, start), images, whole


def test_rewards_reach_the_student_and_see_the_right_frames_and_texts() -> None:
    decoded = []

    def decode(latents: Tensor) -> Tensor:
        decoded.append(latents.shape[2])
        return latents[:, :3].transpose(1, 2) + 0.5

    term, images, whole = rewards_of(decode)
    student = Known(0.5).eval()
    settings = ConsistencySettings(guidance_scale_min=1.0, guidance_scale_max=1.0)
    method = ConsistencyDistillation(settings, inputs_of(Known(0.5), student, Additive(), 0.0, rewards=term))
    losses = losses_of(method, student, student)
    expected = losses.terms["consistency"] - losses.terms["reward/image"] - 2 * losses.terms["reward/video"]
    assert losses.total.item() == pytest.approx(float(expected), rel=1e-5)
    assert decoded[0] < 8  # only frames that are scored
    estimates = student.calls[-1]["x"] - 0.1 * student.calls[-1]["t"].view(-1, 1, 1, 1, 1) * 0.75
    frames = estimates[:, :3].transpose(1, 2) + 0.5
    torch.testing.assert_close(whole.video.detach(), frames[:, [0, 2, 5, 7]], rtol=1e-3, atol=1e-3)
    assert images.video.shape == (2, 2, 3, 4, 4)
    assert images.captions == whole.captions == ["first", "second"]
    for image, video in zip(images.video.detach(), frames, strict=True):
        assert all((video - frame).abs().amax((1, 2, 3)).min() < 1e-3 for frame in image)
    losses.total.backward()
    # More of the student's constant is less brightness: raising it must raise the loss by 3 mean(0.1 t).
    assert float(student.constant.grad) > 0.2 * float(student.calls[-1]["t"].float().mean())


def test_in_phases_the_students_own_videos_are_rewarded_through_all_its_steps() -> None:
    term, images, whole = rewards_of(lambda latents: latents[:, :3].transpose(1, 2))
    process, student = VideoScheduler(solver_steps=8, phases=4), Known(0.5).eval()
    method = in_phases(Known(1.0), target="teacher", rewards=term, rollouts=1)
    losses = losses_of(method, student, student)
    asked, *steps = student.calls
    assert [call["t"].tolist() for call in steps] == [[999], [749], [499], [249]]
    x = steps[0]["x"]
    assert abs(float(x.std()) - 1) < 0.2  # noise
    for call, end in zip(steps, [749, 499, 249, 0], strict=True):
        torch.testing.assert_close(call["x"], x)
        assert call["w"].tolist() == asked["w"][:1].tolist()
        x = go(process, 0.75, x, call["t"], torch.tensor([end]))
    torch.testing.assert_close(whole.video, x[:, :3, [0, 2, 5, 7]].transpose(1, 2))
    assert whole.captions == images.captions == ["first"]
    terms = losses.terms
    expected = terms["consistency"] - terms["reward/image"] - 2 * terms["reward/video"]
    assert losses.total.item() == pytest.approx(float(expected), rel=1e-5)

    def brightness(constant: float) -> float:
        x = steps[0]["x"]
        for start, end in pairwise([999, 749, 499, 249, 0]):
            x = go(process, constant + 0.25, x, torch.tensor([start]), torch.tensor([end]))
        return float(x[:, :3, [0, 2, 5, 7]].mean())

    (slope,) = torch.autograd.grad(whole.video.mean(), student.constant)
    assert float(slope) == pytest.approx((brightness(0.51) - brightness(0.49)) / 0.02, rel=1e-3)


def test_rewards_may_come_late() -> None:
    term, *_ = rewards_of(lambda latents: latents[:, :3].transpose(1, 2), start=0.6)
    method = in_phases(Known(1.0), target="teacher", rewards=term)
    student = Known(0.5).eval()
    for progress, terms in ((0.0, 1), (0.59, 1), (0.6, 3), (1.0, 3)):
        assert len(losses_of(method, student, student, progress=progress).terms) == terms


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_every_weight_of_a_real_student_learns_from_consistency(precision: str) -> None:
    torch.manual_seed(0)
    shared = {"head_size": 8, "in_channels": 4, "text_width": 5, "norm_groups": 8, "first_temporal_heads": 1}
    teacher = VideoUNet(**unet_config((16,), **shared))
    student = VideoUNet(**unet_config((16,), **shared, guidance_size=8))
    for parameter in student.parameters():  # else zero-initialized layers hide those before them
        nn.init.normal_(parameter, std=0.1)
    method = consistency(teacher, student, empty=0.0)
    with mixed_precision(torch.device("cpu"), precision):
        losses = losses_of(method, student, student)
    losses.total.backward()
    without = [name for name, p in student.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    # A key's bias and the like have none by their nature; here only layers of a single token are left out.
    assert without == []


def test_a_new_guidance_embedding_changes_no_output() -> None:
    torch.manual_seed(0)
    shared = {"head_size": 8, "in_channels": 4, "text_width": 5, "norm_groups": 8, "first_temporal_heads": 1}
    unet = VideoUNet(**unet_config((16,), **shared)).eval()
    few: Any = with_guidance_embedding(unet, 8)
    inputs = torch.randn(1, 4, 4, 8, 8), torch.tensor([7]), torch.randn(1, 6, 5), torch.tensor([8.0])
    with torch.no_grad():
        torch.testing.assert_close(few(*inputs, guidance=torch.tensor([9.0])), unet(*inputs))
    assert few.config.guidance_size == 8


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"phases": 1}, "greater than or equal to 2"),
        ({"on_policy": 1.5}, "on_policy"),
        ({"reuse": 0}, "reuse"),
        ({"guidance_scale_min": 3, "guidance_scale_max": 2}, "below guidance_scale_min"),
        ({"phases": 5, "solver_steps": 4}, "more phases than solver_steps"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PhasedConsistencySettings(**values)
