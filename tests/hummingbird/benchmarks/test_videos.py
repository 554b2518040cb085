"""The benchmark of videos: every combination is a row, ratios are of one precision, random weights are named so."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hummingbird.benchmarks.subjects import drawn_subjects
from hummingbird.benchmarks.videos import benchmark, headline, speed_lines
from hummingbird.config.benchmark import BenchmarkSettings
from hummingbird.config.compile import CompileSettings
from hummingbird.config.evaluate import EvaluateSettings
from hummingbird.config.loading import load_settings
from hummingbird.config.models import ModelSettings
from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.evaluation.speed import VideoTimes
from hummingbird.lake.runs import load_result


def small(pipelines: dict[str, Path], storage: Path, **changed: Any) -> Settings:
    section = {
        "compile_teacher": False, "compile_student": False, "precisions": ("fp32",), "repeats": 1, "warmup_videos": 0,
        "teacher_inference_steps": (2,), "student_inference_steps": (2, 1), "student_decoder": ("small", "full"),
        "batch_sizes": (1, 2), "student": str(pipelines["student"]), **changed,
    }  # fmt: skip
    return Settings(
        storage=storage,
        models=ModelSettings(teacher=str(pipelines["teacher"])),
        benchmark=BenchmarkSettings(**section),
        compile=CompileSettings(num_frames=2),
        evaluate=EvaluateSettings(prompts=4),
    )


def test_every_combination_is_a_row_with_its_work_and_memory(
    tiny_pipelines: dict[str, Path], tmp_path: Path
) -> None:
    result = load_result(benchmark(small(tiny_pipelines, tmp_path)))
    metrics = result["metrics"]
    rows = metrics["timings"]
    assert len(rows) == 2 + 2 * 2 * 2  # the teacher's batches; the student's steps, decoders and batches
    teacher = rows["teacher, eager, fp32, 2 steps, full decoder"]
    student = rows["student, eager, fp32, 2 steps, small decoder"]
    one = rows["student, eager, fp32, 1 step, small decoder"]
    pair = rows["student, eager, fp32, 2 steps, small decoder, batch 2"]
    assert one["flop"]["denoising"] == pytest.approx(student["flop"]["denoising"] / 2, rel=0.01)
    assert pair["flop"] == student["flop"]  # of a video
    assert pair["peak_gib"] > student["peak_gib"] > 0
    assert teacher["note"] == "two passes a step, trained weights"
    for row in rows.values():
        assert row["mfu"] == pytest.approx(row["limit_seconds"] / row["seconds"])
        assert 0 < row["mfu"] < 2
    assert metrics["speedup"] == pytest.approx(teacher["seconds"] / student["seconds"])
    assert metrics["speedups"] == {
        "fp32": {"eager": None, "compiled": None, "both eager": metrics["speedup"]}
    }
    assert (metrics["precision"], metrics["weights"]) == ("fp32", "trained")
    text = "\n".join(speed_lines(metrics))
    assert "student in fp32" in text
    assert "trained weights" in text


def test_ratios_are_of_one_precision() -> None:
    seconds = {
        ("fp32", "teacher", "eager"): 60.0, ("fp32", "teacher", "compiled"): 40.0, ("fp32", "student", "compiled"): 2.0,
        ("bf16", "teacher", "eager"): 30.0, ("bf16", "student", "compiled"): 0.5, ("fp32", "student", "eager"): 3.0,
    }  # fmt: skip
    rows: Any = []
    for (precision, model, mode), value in seconds.items():
        for first in (True, False):
            facts = {"precision": precision, "model": model, "mode": mode, "first": first}
            rows.append(SimpleNamespace(name=f"{len(rows)}", facts=facts, seconds=value if first else 1e-3))
    timings = {row.name: VideoTimes(({"text": row.seconds},)) for row in rows}
    found = headline(rows, timings, "fp32")
    assert (found["speedup"], found["speedup_compiled"]) == (30, 20)
    assert found["speedups"]["bf16"] == {"eager": 60, "compiled": None, "both eager": None}
    low = headline(rows, timings, "bf16")
    assert (low["speedup"], low["speedup_compiled"]) == (60, None)
    assert low["seconds_per_video"] == {"teacher": 30, "student": 0.5}


def test_random_weights_are_named_so(tiny_pipelines: dict[str, Path], tmp_path: Path) -> None:
    settings = small(
        tiny_pipelines, tmp_path, random_weights=True, student=None, batch_sizes=(1,),
        student_inference_steps=(1,), student_decoder=("small",),
    )  # fmt: skip
    plan = settings.plan.model_copy(update={"plan": "hummingbird-0.7b"})
    metrics = load_result(benchmark(settings.model_copy(update={"plan": plan})))["metrics"]
    assert metrics["weights"] == "random"
    rows = metrics["timings"]
    assert all(row["note"].endswith("random weights") for row in rows.values())
    teacher, student = rows.values()
    assert student["flop"]["denoising"] < teacher["flop"]["denoising"] / 4  # steps, passes, and what was cut


def test_the_published_architecture_is_a_subject_at_full_size() -> None:
    settings = load_settings(overrides=["models.teacher=videocrafter2", "benchmark.random_weights=true"])
    teacher, student = drawn_subjects(settings)
    assert teacher.identity == "videocrafter2, hummingbird-0.7b, seed 0"
    assert (teacher.guided, student.guided, student.weights) == (True, False, "random")
    named = load_settings(
        overrides=[
            "models.teacher=videocrafter2",
            "benchmark.random_weights=true",
            "benchmark.student_package=/x",
        ]
    )
    with pytest.raises(InputError, match="name no packages"):
        drawn_subjects(named)


def test_a_value_or_a_list_is_read() -> None:
    settings = load_settings(
        overrides=["benchmark.student_inference_steps=[8, 4, 2, 1]", "benchmark.teacher_inference_steps=10"]
    ).benchmark
    assert settings.student_inference_steps == (8, 4, 2, 1)
    assert settings.teacher_inference_steps == (10,)
    with pytest.raises(InputError, match="batch_sizes"):
        load_settings(overrides=["benchmark.batch_sizes=[]"])


@pytest.mark.slow
def test_a_compiled_student_is_timed_beside_the_eager_ones(
    tiny_pipelines: dict[str, Path], tmp_path: Path
) -> None:
    settings = small(
        tiny_pipelines, tmp_path, compile_student=True, student_inference_steps=(1,), student_decoder=("small",),
        batch_sizes=(1,),
    )  # fmt: skip
    result = load_result(benchmark(settings))
    rows = result["metrics"]["timings"]
    compiled = rows["student, compiled, fp32, 1 step, small decoder"]
    assert compiled["flop"] == rows["student, eager, fp32, 1 step, small decoder"]["flop"]
    teacher = rows["teacher, eager, fp32, 2 steps, full decoder"]
    assert result["metrics"]["speedup"] == pytest.approx(teacher["seconds"] / compiled["seconds"])
    assert result["metrics"]["speedups"]["fp32"]["eager"] == result["metrics"]["speedup"]
    # Named, it serves the rows of its precision and decoder, and is not made again.
    package = result["outputs"]["student_package"]
    named = small(
        tiny_pipelines, tmp_path / "other", compile_student=True, student_inference_steps=(1,),
        student_decoder=("small",), batch_sizes=(1,), student_package=Path(package),
    )  # fmt: skip
    assert str(load_result(benchmark(named))["outputs"]["student_package"]) == str(package)
