import copy
from dataclasses import replace
from functools import partial

import pytest
import torch
from hummingbird.config.lora import LoRASettings
from hummingbird.models.architectures import unet_config
from hummingbird.models.scheduler import VideoScheduler
from hummingbird.models.unet import VideoUNet
from hummingbird.pruning.planner.cost import InputShape, unet_inputs
from hummingbird.pruning.planner.fit import GIB, verdict
from hummingbird.pruning.planner.memory_use import Memory, MemoryModel, Use
from hummingbird.pruning.planner.peak import measured_peak
from hummingbird.pruning.planner.planned_models import PlannedModel
from hummingbird.pruning.pruned_config import pruned_config
from hummingbird.pruning.pruning_plan import load_plan
from hummingbird.training.adapters import adapter_parameters
from hummingbird.training.methods.base import MethodInputs, TrainingStep
from hummingbird.training.methods.distillation import Distillation, DistillationSettings

TEACHER = unet_config((32, 48), head_size=16, in_channels=4, text_width=16, norm_groups=16, dropout=0.0)
SETTINGS = DistillationSettings(guidance_scale=3.0)
SHAPE = InputShape(frames=4, height=16, width=16, text_tokens=8)


@pytest.fixture(scope="module")
def memory() -> MemoryModel:
    model = PlannedModel("tiny", TEACHER, (128, 128), 8, 1000, {}, {}, {}, None)
    student = pruned_config(load_plan("hummingbird-0.7b", TEACHER), TEACHER)
    return MemoryModel(model, student, SHAPE, partial(Distillation.cost, SETTINGS, rewarded=False))


@pytest.mark.parametrize("checkpointing", [False, True])
def test_distillation_needs_what_is_estimated(memory: MemoryModel, checkpointing: bool) -> None:
    use = Use("distill", zero_stage=0, batch=2, precision="fp32", checkpointing=checkpointing, device="cpu")
    estimate = memory.estimate(use)

    def step() -> None:
        """A whole run of one step: models, moving average, method, backward pass, optimizer."""
        teacher = VideoUNet(**TEACHER)
        student = VideoUNet(**pruned_config(load_plan("hummingbird-0.7b", TEACHER), TEACHER)).train()
        average = copy.deepcopy(student)
        student.gradient_checkpointing = checkpointing
        process = VideoScheduler()
        method = Distillation(SETTINGS, MethodInputs(teacher, student, process, process, torch.zeros(8, 16)))
        optimizer = torch.optim.AdamW(student.parameters(), foreach=False)
        inputs = unet_inputs(TEACHER, replace(SHAPE, batch=2), "cpu")
        batch = {"latents": inputs["sample"], "text": inputs["encoder_hidden_states"], "fps": inputs["fps"]}
        generator = torch.Generator().manual_seed(0)
        for _ in range(2):
            models = {"student": student}, {"student": average}
            method.losses("student", TrainingStep(*models, batch, generator, generator)).total.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    measured = measured_peak(step, torch.device("cpu"))
    assert estimate.peak == pytest.approx(measured, rel=0.15)


def test_zero_shares_out_optimizer_then_gradients_then_weights(memory: MemoryModel) -> None:
    at = [memory.estimate(Use("distill", gpus=4, zero_stage=stage, device="cpu")) for stage in range(4)]
    assert at[1].optimizer < at[0].optimizer
    assert at[2].gradients * 4 == pytest.approx(at[1].gradients, abs=4)
    assert at[3].weights * 4 == pytest.approx(at[2].weights, abs=4)


def test_adapters_need_no_second_weights_optimizer_or_average(memory: MemoryModel) -> None:
    model = PlannedModel("tiny", TEACHER, (128, 128), 8, 1000, {}, {}, {}, None)
    student = pruned_config(load_plan("hummingbird-0.7b", TEACHER), TEACHER)
    cost = partial(Distillation.cost, SETTINGS, rewarded=False)
    lora = LoRASettings(rank=2)
    adapters = 4 * adapter_parameters(VideoUNet(**student), lora)
    use = Use("distill", zero_stage=0, precision="fp32", device="cpu")
    adapted = MemoryModel(model, student, SHAPE, cost, lora=lora)
    full, small = memory.estimate(use), adapted.estimate(use)
    assert adapters < 0.4 * full.weights
    assert small.weights == full.weights + adapters
    assert (small.average, small.gradients, small.optimizer) == (adapters, adapters, 2 * adapters)
    assert small.peak < full.peak
    apart = adapted.estimate(replace(use, zero_stage=3))
    assert apart.average == full.average + adapters


def memory_of(peak: float) -> Memory:
    return Memory(*[0] * 10, peak=round(peak * GIB))


def test_what_does_not_fit_is_told_what_to_change_until_it_does() -> None:
    def estimate(use: Use) -> Memory:
        return memory_of(20 + 40 * use.batch * (0.5 if use.checkpointing else 1))

    use = Use("distill", batch=4, checkpointing=False, zero_stage=2)
    fit = verdict(use, estimate, gpu_memory=80)
    assert not fit.fits
    assert fit.smallest is None
    assert [words.split(" (")[0] for words, _ in fit.changes] == ["recompute activations", "2 videos a GPU"]
    assert fit.changes[-1][1] == 60 * GIB
    assert verdict(replace(use, batch=1, checkpointing=True), estimate, 80).fits


def test_a_change_that_does_not_help_is_no_part_of_the_next() -> None:
    uses: list[Use] = []

    def estimate(use: Use) -> Memory:
        uses.append(use)
        return memory_of(60 * use.batch + (5 if use.zero_stage else 0))

    fit = verdict(Use("distill", gpus=4, batch=2, zero_stage=0), estimate, gpu_memory=80)
    assert [words.split(" (")[0] for words, _ in fit.changes] == ["1 videos a GPU"]
    assert uses[-1].zero_stage == 0
