"""The benchmark of plans: equal costs, students that are made once, and neither lake nor Ray with a folder."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hummingbird.benchmarks.drawn_cache import draw_cache
from hummingbird.benchmarks.plan_candidates import matched_name
from hummingbird.benchmarks.plan_table import SCALE
from hummingbird.benchmarks.plans import plan_benchmark
from hummingbird.config.distill import DistillSettings
from hummingbird.config.plan import PlanSettings
from hummingbird.config.plan_benchmark import PlanBenchmarkSettings
from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.core.model_references import SHIPPED_WEIGHTS
from hummingbird.core.parallel import parallel_map
from hummingbird.evaluation.repeats import score_repeats
from hummingbird.evaluation.suites.shapes.dimensions import SHAPES
from hummingbird.models.architectures import unet_config
from hummingbird.models.pipeline import TextToVideoPipeline, load_parts
from hummingbird.models.unet import VideoUNet
from hummingbird.training.latent_cache import LatentCache

PAPER = "hummingbird-0.7b"


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random U-Net of two stages with the shipped autoencoder and text encoder."""
    torch.manual_seed(0)
    config = unet_config(
        (16, 16),
        in_channels=16,
        head_size=8,
        text_width=128,
        norm_groups=8,
        first_temporal_heads=1,
        dropout=0.0,
    )
    unet = VideoUNet(**config)
    for parameter in unet.parameters():  # a fresh U-Net predicts zero, whatever goes
        parameter.data += 0.02 * torch.randn_like(parameter)
    folder = tmp_path_factory.mktemp("pipelines") / "teacher"
    TextToVideoPipeline(unet=unet, **load_parts(SHIPPED_WEIGHTS / "teacher")).save_pretrained(folder)
    return folder


def small(settings: Settings, teacher: Path, **changes: object) -> Settings:
    options = {
        "paper": (PAPER,), "match": ("params",), "budgets": (0.4,), "seeds": (0,), "clips": 4, "prompts": 2,
        "num_inference_steps": 2, "batch_size": 2, "repeats": 1, "warmup_passes": 1, "resamples": 100,
    }  # fmt: skip
    return settings.model_copy(
        update={
            "models": settings.models.model_copy(update={"teacher": str(teacher)}),
            "plan": PlanSettings(
                calibration_clips=2, calibration_timesteps=1, rounds=1, calibration_batch_size=2
            ),
            "distill": DistillSettings(steps=2, batch_size=2),
            "plan_benchmark": PlanBenchmarkSettings(**{**options, **changes}),
        }
    )


@pytest.mark.slow
def test_students_of_equal_size_are_made_once_and_compared(
    settings: Settings, teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "study"
    late = small(settings, teacher, folder=folder, minutes=1e-9)
    assert len(json.loads(plan_benchmark(late).read_text())["metrics"]["unfinished"]) == 4

    in_time = small(settings, teacher, folder=folder)
    metrics = json.loads(plan_benchmark(in_time).read_text())["metrics"]
    plans, ours = metrics["plans"], matched_name(PAPER, "params")
    assert plans[ours]["parameters"] <= plans[PAPER]["parameters"]
    assert plans["params-0.4"]["share"] <= 0.4
    assert plans["teacher"]["share"] == 1
    for name in (PAPER, ours, "params-0.4"):
        assert plans[name]["after"]["low"] <= plans[name]["after"]["value"] <= plans[name]["after"]["high"]
        assert plans[name]["seeds"]["0"]["training"]["steps"] == 2
    (comparison,) = metrics["comparisons"]
    assert comparison["difference"]["before"]["value"] == pytest.approx(
        plans[ours]["before"]["value"] - plans[PAPER]["before"]["value"]
    )
    assert metrics["unfinished"] == []
    assert f"{ours:26} less {PAPER}" in capsys.readouterr().out
    assert not settings.storage.exists()

    times = {path: path.stat().st_mtime_ns for path in folder.glob("students/*/result.json")}
    plan_benchmark(in_time)
    assert len(times) == 4
    assert times == {path: path.stat().st_mtime_ns for path in folder.glob("students/*/result.json")}
    with pytest.raises(InputError, match=r"another teacher \(plan_benchmark differ\)"):
        plan_benchmark(small(settings, teacher, folder=folder, prompts=4))


def test_drawn_clips_make_a_cache_that_training_reads(teacher: Path, tmp_path: Path) -> None:
    pipeline = TextToVideoPipeline.from_pretrained(teacher)
    with parallel_map(1) as parallel:
        cache = LatentCache(draw_cache(pipeline, tmp_path / "cache", 3, 3, parallel))
        before = (tmp_path / "cache" / "cache.json").stat().st_mtime_ns
        draw_cache(pipeline, tmp_path / "cache", 3, 3, parallel)
    assert (tmp_path / "cache" / "cache.json").stat().st_mtime_ns == before
    batch = cache.load([0, 2])
    assert batch["latents"].shape == (2, 16, 16, 8, 8)
    assert batch["text"].shape[1:] == cache.empty_text.shape
    assert not torch.equal(batch["latents"][0], batch["latents"][1])


def test_a_difference_is_paired_over_repeats_and_prompts() -> None:
    rng = np.random.default_rng(0)

    def row(level: float, objects: int) -> dict[str, float]:
        left_out = {"multiple objects", "spatial relationship"} if objects == 1 else {"object class"}
        return {d.name: level for d in SHAPES if d.name not in left_out}

    base = [[row(level, 1 + i % 2) for i, level in enumerate(rng.uniform(0.86, 0.9, 20))] for _ in range(3)]
    better = [[{name: value + 0.01 for name, value in one.items()} for one in repeat] for repeat in base]
    totals, differences = score_repeats(SCALE, {"base": base, "better": better}, [("better", "base")], 200, 0)
    difference = differences["better", "base"]
    assert totals["base"].low < totals["base"].value < totals["base"].high
    assert difference.value == pytest.approx(totals["better"].value - totals["base"].value)
    assert 0 < difference.low <= difference.value <= difference.high
    assert difference.high - difference.low < 0.1 * (totals["base"].high - totals["base"].low)
    with pytest.raises(ValueError, match="not measured on the same repeats"):
        score_repeats(SCALE, {"base": base, "short": base[:2]}, [], 100, 0)


def test_processes_give_results_in_order_and_pass_errors_on() -> None:
    with parallel_map(2) as parallel:
        assert list(parallel(abs, [-3, 2, -1])) == [3, 2, 1]
        with pytest.raises(TypeError):
            list(parallel(abs, ["x"]))


def test_neither_ray_nor_the_lake_is_imported() -> None:
    import subprocess

    code = (
        "import sys, hummingbird.benchmarks.plans, hummingbird.benchmarks.unet\n"
        "print([name for name in ('ray', 'pyiceberg', 'deepspeed') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
