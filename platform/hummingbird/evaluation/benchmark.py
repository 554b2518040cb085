"""The benchmark: teacher and student, eager and compiled, end to end, in one run on one machine."""

from pathlib import Path
from typing import Any

from hummingbird.config.section import InputError
from hummingbird.config.settings import Settings
from hummingbird.evaluation.candidates import is_few_step, pipeline_hash
from hummingbird.evaluation.device import device_name
from hummingbird.evaluation.prompts import evaluation_prompts
from hummingbird.evaluation.report.from_runs import load_result
from hummingbird.evaluation.speed import Contestant, VideoPipeline, time_all
from hummingbird.lake.runs import open_run
from hummingbird.models.compilation import compile_model
from hummingbird.models.package import CompiledPipeline
from hummingbird.models.pipeline import load_pipeline, pipeline_folder


def benchmark(settings: Settings, folder: Path | None = None) -> Path:
    """Time teacher and student side by side; returns the path of ``result.json``.

    Metrics: ``timings`` by name (median ``seconds``, ``parts``, every repeat, a ``note``),
    ``seconds_per_video`` (``teacher``: eager, ``student``: compiled), ``speedup`` (their ratio),
    ``speedup_compiled`` (compiled teacher to compiled student), ``device``. A package that is not named is compiled first, once.

    Raises:
        InputError: a model is missing, the student embeds no guidance, or a package is for another machine.
    """
    s = settings.benchmark
    teacher = _folder(settings.models.teacher)
    student = _folder(s.student or settings.models.student or "shapes-student")
    if not is_few_step(student):
        raise InputError(f"{student} is no few-step student: feedback makes one (benchmark.student)")
    inputs = {"teacher": pipeline_hash(teacher), "student": pipeline_hash(student)}
    packages = (
        s.teacher_package or _compile(settings, teacher, s.teacher_decoder),
        s.student_package or _compile(settings, student, s.student_decoder),
    )
    with open_run(settings, "benchmark", ("benchmark", "compile"), inputs=inputs, folder=folder) as run:
        # Each repeat shows another prompt, the same to all.
        prompts = [p.text for p in evaluation_prompts(max(s.warmup + s.repeats, 2), settings.seed)]
        contestants = _contestants(settings, (teacher, student), packages)
        timings = time_all(contestants, prompts, s.warmup, s.repeats)
        seconds = {name: timing.seconds for name, timing in timings.items()}
        run.metrics.update(
            timings={c.name: timings[c.name].as_json() | {"note": c.note} for c in contestants},
            seconds_per_video={"teacher": seconds["teacher, eager"], "student": seconds["student, compiled"]},
            speedup=seconds["teacher, eager"] / seconds["student, compiled"],
            speedup_compiled=seconds["teacher, compiled"] / seconds["student, compiled"],
            device=device_name(),
        )
        run.outputs.update(teacher_package=packages[0], student_package=packages[1])
    return run.result_path


def _folder(name: str) -> Path:
    try:
        return pipeline_folder(name).absolute()
    except FileNotFoundError as error:
        raise InputError(str(error)) from error


def _compile(settings: Settings, model: Path, decoder: str) -> Path:
    section = settings.compile.model_copy(update={"model": str(model), "decoder": decoder})
    result = load_result(compile_model(settings.model_copy(update={"compile": section})))
    return Path(result["outputs"]["package"])


def _contestants(
    settings: Settings, folders: tuple[Path, Path], packages: tuple[Path, Path]
) -> list[Contestant]:
    s, frames = settings.benchmark, settings.compile.num_frames
    teacher: dict[str, Any] = {"steps": s.teacher_steps, "guidance": s.guidance, "decoder": s.teacher_decoder}
    student: dict[str, Any] = {
        "steps": s.student_steps, "guidance": s.student_guidance, "decoder": s.student_decoder,
    }  # fmt: skip
    made = []
    for name, options, folder, package in zip(
        ("teacher", "student"), (teacher, student), folders, packages, strict=True
    ):
        passes = "two passes a step" if name == "teacher" else "one pass a step"
        note = f"{options['steps']} steps, {passes}, {options['decoder']} decoder"
        eager: VideoPipeline = load_pipeline(folder).to(settings.compile.device)
        compiled: VideoPipeline = CompiledPipeline.load(package)
        for way, pipeline in (("eager", eager), ("compiled", compiled)):
            all_options = {**options, "num_frames": frames, "fps": s.fps}
            made.append(Contestant(f"{name}, {way}", pipeline, all_options, s.fps, note))
    return made
