import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hummingbird.config.gates import GateSettings
from hummingbird.config.plan import PlanSettings
from hummingbird.config.settings import Settings
from hummingbird.config.training import TrainingSettings
from hummingbird.models.architectures import unet_config
from hummingbird.models.scheduler import VideoScheduler
from hummingbird.models.unet import VideoUNet
from hummingbird.pruning.planner.cost import InputShape
from hummingbird.pruning.planner.gates import GatedUNet, GateLearning, start_logits
from hummingbird.pruning.planner.learned_choice import gate_budgets
from hummingbird.pruning.planner.ledger import CostLedger
from hummingbird.pruning.planner.plan_verb import plan
from hummingbird.pruning.planner.search import drop_by_worth
from hummingbird.pruning.planner.units import removals
from hummingbird.pruning.prune import prune_unet
from hummingbird.pruning.pruning_plan import FIRST, whole_plan
from hummingbird.training.methods.base import MethodInputs

SHUT = -100.0
CONFIG: dict[str, Any] = unet_config(
    (16, 16), head_size=8, text_width=8, norm_groups=8, first_temporal_heads=1, middle=True
)
INPUTS = (torch.randn(2, 4, 3, 4, 4), torch.tensor([10, 700]), torch.randn(2, 5, 8))
FPS = {"fps": torch.tensor([8.0, 8.0])}


@pytest.fixture
def unet() -> VideoUNet:
    torch.manual_seed(0)
    model: VideoUNet = VideoUNet(**CONFIG).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.2)
    return model


@pytest.fixture(scope="module")
def units() -> dict[str, Any]:
    return removals(whole_plan(CONFIG), CONFIG)


def gated(unet: VideoUNet, units: dict[str, Any], shut: str) -> GatedUNet:
    logits = torch.tensor([SHUT if unit == shut else -SHUT for unit in units])
    return GatedUNet(unet, list(units), logits).eval()


@pytest.mark.parametrize(
    "unit",
    [
        "middle",
        FIRST,
        "up.0.1",
        "up.1.2.temporal_conv",
        "down.0.0.spatial_attention",
        "down.0.1.temporal_attention",
        "down.0.0.heads",
        "up.1.0.feed_forward",
    ],
)
def test_a_shut_gate_is_the_unit_dropped(unet: VideoUNet, units: dict[str, Any], unit: str) -> None:
    output, whole, _ = gated(unet, units, unit)(*INPUTS, **FPS)
    with torch.no_grad():
        pruned = prune_unet(unet, units[unit], share=True)(*INPUTS, **FPS)
    assert not torch.allclose(output, whole)
    torch.testing.assert_close(output, pruned, rtol=1e-4, atol=1e-4)


def test_open_gates_change_nothing(unet: VideoUNet, units: dict[str, Any]) -> None:
    output, whole, share = gated(unet, units, "none")(*INPUTS, **FPS)
    torch.testing.assert_close(output, whole, rtol=1e-5, atol=1e-5)
    assert share.min() == 1


def test_a_layer_that_is_never_there_saves_what_it_costs_and_no_part_of_it_again(
    units: dict[str, Any],
) -> None:
    ledger = CostLedger(CONFIG, InputShape(3, 4, 4, 5))
    budgets = gate_budgets(CONFIG, units, ledger, {"params": 0.5, "flops": 0.6})
    model: VideoUNet = VideoUNet(**CONFIG)
    inputs = MethodInputs(model, model, VideoScheduler(), VideoScheduler(), torch.zeros(5, 8))
    learning = GateLearning(
        GateSettings(), inputs, GatedUNet(model, list(units), start_logits(list(units))), budgets
    )
    shut = [float(not unit.startswith("up.0.1")) for unit in units]
    left = learning.expected_costs(torch.tensor(shut))
    exact = ledger(units["up.0.1"]).parameters / ledger(whole_plan(CONFIG)).parameters
    assert left[0].item() == pytest.approx(exact, abs=1e-6)


def test_the_least_worth_goes_first_within_the_budget(units: dict[str, Any]) -> None:
    ledger = CostLedger(CONFIG, InputShape(3, 4, 4, 5))
    worth = {unit: 0.1 if unit.startswith("up") else 0.9 for unit in units}
    cut, dropped = drop_by_worth(CONFIG, ledger, {"params": 0.85}, worth, "cut")
    assert ledger(cut).parameters <= 0.85 * ledger(whole_plan(CONFIG)).parameters
    assert {one.unit.partition(".")[0] for one in dropped} == {"up"}


def test_units_measured_to_matter_little_begin_likelier_shut() -> None:
    assert start_logits(["a", "b", "c"], ["b", "c", "a"]).tolist() == [3.0, 0.0, 1.5]
    assert start_logits(["a", "b"]).tolist() == [3.0, 3.0]


@pytest.mark.parametrize("importance", ["learned", pytest.param("both", marks=pytest.mark.slow)])
def test_gates_learn_what_the_output_does_not_need(
    tiny_teacher: Path,
    write_cache: Callable[..., Path],
    tmp_path: Path,
    settings: Settings,
    importance: str,
) -> None:
    """All of the teacher's parts matter but the temporal convolutions, which a fresh model has at zero."""
    unet = VideoUNet.from_pretrained(tiny_teacher / "unet")
    torch.manual_seed(0)
    with torch.no_grad():
        for name, parameter in unet.named_parameters():
            if "temp_convs" not in name:
                parameter.normal_(std=0.1)
    unet.save_pretrained(tiny_teacher / "unet")
    section = PlanSettings(
        model=str(tiny_teacher),
        budget=("params=0.9",),
        importance=importance,
        gates=GateSettings(steps=8, batch_size=2, learning_rate=0.5),
        calibration_clips=2,
        calibration_timesteps=1,
        num_frames=8,
        timing="off",
    )
    training = TrainingSettings(engine="process", cache=write_cache(tmp_path / "latents"), warmup_steps=1)
    report = plan(settings.model_copy(update={"plan": section, "training": training}))
    costs = report["costs"]
    assert costs["student"]["parameters"] <= 0.9 * costs["teacher"]["parameters"]
    folder = Path(report["files"]["plan"]).parent
    gates = json.loads((folder / "gates.json").read_text())
    idle = [share for unit, share in gates.items() if unit.endswith("temporal_conv")]
    others = [share for unit, share in gates.items() if not unit.endswith("temporal_conv")]
    assert sum(idle) / len(idle) < sum(others) / len(others)
    change = json.loads((folder / "result.json").read_text())["metrics"]["change"]
    assert 0 <= change < 1
