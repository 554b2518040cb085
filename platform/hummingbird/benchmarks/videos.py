"""The benchmark: teacher and student, eager and compiled, end to end, in one run on one machine."""

from pathlib import Path

from hummingbird.benchmarks.speed import TimedPipeline, time_pipelines
from hummingbird.compiling.compile import compile_model
from hummingbird.compiling.package import CompiledPipeline
from hummingbird.config.settings import Settings
from hummingbird.core.devices import describe_device
from hummingbird.core.errors import InputError
from hummingbird.core.files import AnyPath
from hummingbird.core.model_references import pipeline_folder
from hummingbird.core.scratch import local_copy
from hummingbird.evaluation.evaluated_models import is_few_step, own_guidance, pipeline_hash
from hummingbird.evaluation.sampling import SamplingParameters
from hummingbird.evaluation.suites import resolve_suite
from hummingbird.evaluation.suites.prompt_files import evaluation_prompts
from hummingbird.lake.runs import load_result, open_run
from hummingbird.models.pipeline import load_pipeline


def benchmark(settings: Settings, folder: Path | None = None) -> Path:
    """Time teacher and student side by side; returns the path of ``result.json``.

    Metrics: ``timings`` by name (median ``seconds``, ``parts``, every repeat, a ``note``),
    ``seconds_per_video`` (``teacher``: eager, ``student``: compiled), ``speedup`` (their ratio),
    ``speedup_compiled`` (compiled teacher to compiled student; None where ``compile_teacher`` is off), ``device``.
    The prompts are the suite's (``evaluate.suite``, ``evaluate.prompts``).
    A package that is not named is compiled first, once; a benchmark that finished is not run again.

    Raises:
        InputError: a model is missing, the student embeds no guidance, or a package is for another machine.
    """
    s = settings.benchmark
    teacher = pipeline_folder(settings.models.teacher)
    student = pipeline_folder(s.student or settings.models.student or "shapes-student")
    if not is_few_step(student):
        raise InputError(f"{student} is no few-step student: feedback makes one (benchmark.student)")
    # Each repeat shows another prompt, the same to all.
    suite = resolve_suite(settings.evaluate).build()
    count = max(s.warmup_videos + s.repeats, 2)
    prompts = [p.text for p in evaluation_prompts(settings.evaluate, suite, count)]
    inputs = {
        "prompts": prompts,
        "teacher": pipeline_hash(teacher, s.teacher_decoder),
        "student": pipeline_hash(student, s.student_decoder),
    }
    packages = (
        _package(settings, s.teacher_package, teacher, s.teacher_decoder) if s.compile_teacher else None,
        _package(settings, s.student_package, student, s.student_decoder),
    )
    with open_run(settings, "benchmark", ("benchmark", "compile"), inputs=inputs, folder=folder) as run:
        if run.previous is not None:
            run.metrics.update(run.previous["metrics"])
            run.outputs.update(run.previous["outputs"])
            return run.result_path
        pipelines = _timed_pipelines(settings, (teacher, student), packages)
        timings = time_pipelines(pipelines, prompts, s.warmup_videos, s.repeats)
        seconds = {name: timing.seconds for name, timing in timings.items()}
        run.metrics.update(
            timings={
                pipeline.name: timings[pipeline.name].as_json() | {"note": pipeline.note}
                for pipeline in pipelines
            },
            seconds_per_video={"teacher": seconds["teacher, eager"], "student": seconds["student, compiled"]},
            speedup=seconds["teacher, eager"] / seconds["student, compiled"],
            speedup_compiled=(
                seconds["teacher, compiled"] / seconds["student, compiled"] if s.compile_teacher else None
            ),
            device=describe_device(),
        )
        run.outputs.update(student_package=packages[1])
        if packages[0] is not None:
            run.outputs.update(teacher_package=packages[0])
    return run.result_path


def _package(settings: Settings, package: AnyPath | None, model: Path, decoder: str) -> Path:
    """The package that was given, else the model's, compiled."""
    if package is not None:
        return local_copy(package)
    section = settings.compile.model_copy(update={"model": str(model), "decoder": decoder})
    result = load_result(compile_model(settings.model_copy(update={"compile": section})))
    return local_copy(result["outputs"]["package"])


def _timed_pipelines(
    settings: Settings, folders: tuple[Path, Path], packages: tuple[Path | None, Path]
) -> list[TimedPipeline]:
    s = settings.benchmark
    sampling = (
        (s.teacher_inference_steps, s.teacher_decoder),
        (s.student_inference_steps, s.student_decoder),
    )
    pipelines = []
    for name, folder, package, (steps, decoder) in zip(
        ("teacher", "student"), folders, packages, sampling, strict=True
    ):
        parameters = SamplingParameters(
            steps, own_guidance(folder), decoder, settings.compile.num_frames, s.fps
        )
        note = f"{steps} steps, {'two passes' if name == 'teacher' else 'one pass'} each, {decoder} decoder"
        eager = load_pipeline(folder).to(settings.compile.device)
        eager.set_progress_bar_config(disable=True)
        pipelines.append(TimedPipeline(f"{name}, eager", eager, parameters, note))
        if package is not None:
            compiled = CompiledPipeline.load(package)
            compiled.set_progress_bar_config(disable=True)
            pipelines.append(TimedPipeline(f"{name}, compiled", compiled, parameters, note))
    return pipelines
