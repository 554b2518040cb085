"""The U-Net benchmark: a fair pair, and figures that follow from the times."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hummingbird.benchmarks.unet import largest_difference, training_step, unet_benchmark
from hummingbird.benchmarks.unet_pair import draw_inputs, equal_pair
from hummingbird.config.settings import Settings
from hummingbird.config.unet_benchmark import UnetBenchmarkSettings

SMALL: dict[str, Any] = {
    "widths": (32, 32), "head_size": 8, "text_width": 16, "text_length": 3, "num_frames": 2, "height": 4, "width": 4,
    "repeats": 2,
}  # fmt: skip


def test_the_pair_computes_the_same_and_no_gradients_are_left_behind() -> None:
    s = UnetBenchmarkSettings(**SMALL)
    ours, theirs = equal_pair(s)
    inputs = draw_inputs(s)
    assert largest_difference(ours, theirs, inputs) < 1e-5
    training_step(ours, inputs)
    assert all(parameter.grad is None for parameter in ours.parameters())


def test_its_figures_follow_from_the_times(settings: Settings) -> None:
    small = settings.model_copy(update={"unet_benchmark": UnetBenchmarkSettings(**SMALL)})
    metrics = json.loads(unet_benchmark(small).read_text())["metrics"]
    for task, passes in (("forward", 1), ("training", 3)):
        times = metrics["seconds"][task]
        assert metrics["speedup"][task]["hummingbird"] == pytest.approx(
            times["diffusers"] / times["hummingbird"]
        )
        rate = passes * metrics["tflop"] / times["hummingbird"] / metrics["matmul_tflop_per_second"]
        assert metrics["mfu"][task]["hummingbird"] == pytest.approx(rate)
    assert metrics["largest_difference"] < 1e-5
    assert str(torch.__version__) in metrics["device"]


def test_without_the_lake_the_result_goes_to_the_folder_alone(settings: Settings, tmp_path: Path) -> None:
    small = UnetBenchmarkSettings(
        **SMALL, folder=tmp_path / "here", estimate=True, gradient_checkpointing=True, precision="bfloat16"
    )
    path = unet_benchmark(settings.model_copy(update={"unet_benchmark": small}))
    metrics = json.loads(path.read_text())["metrics"]
    assert path == tmp_path / "here" / "result.json"
    assert not settings.storage.exists()
    assert metrics["estimated_gib"]["training"] > metrics["estimated_gib"]["forward"] > 0
