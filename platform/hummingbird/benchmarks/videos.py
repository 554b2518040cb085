"""The benchmark: teacher and student, eager and compiled, end to end, in one run on one machine."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from hummingbird.benchmarks.subjects import Subject, drawn_subjects, subjects_of_folders
from hummingbird.config.settings import Settings
from hummingbird.core.devices import describe_device, resolve_device
from hummingbird.core.precision import resolve_precision
from hummingbird.evaluation.sampling import SamplingParameters
from hummingbird.evaluation.speed import TimedPipeline, VideoTimes, time_pipelines
from hummingbird.evaluation.suites import resolve_suite
from hummingbird.evaluation.suites.prompt_files import evaluation_prompts
from hummingbird.evaluation.work import DTYPES, matmul_rate, peak_bytes, speed_row, video_flop
from hummingbird.lake.runs import open_run

EAGER, COMPILED = "eager", "compiled"


def benchmark(settings: Settings, folder: Path | None = None) -> Path:
    """Time teacher and student side by side; returns the path of ``result.json``.

    Metrics: ``timings`` by row (median ``seconds`` a video, ``parts``, every repeat, a ``note``, what the row is,
    ``flop`` of a video, ``limit_seconds`` that this takes at the rate of a large matrix product in the row's
    precision, ``mfu`` (their ratio), ``peak_gib`` beyond the weights), ``precision`` of the headline, ``speedups`` by
    precision (``eager``: eager teacher to compiled student; ``compiled``: both compiled; None where one was not
    timed), ``speedup`` and ``speedup_compiled``, the headline's, ``seconds_per_video`` (``teacher``: eager,
    ``student``: compiled), ``matmul_tflop_per_second`` by precision, ``weights`` (trained or random), ``device``.
    The prompts are the suite's (``evaluate.suite``, ``evaluate.prompts``).
    A package that is not named is compiled first, once; a benchmark that finished is not run again.

    Raises:
        InputError: a model is missing, the student embeds no guidance, or a package is for another machine.
    """
    s = settings.benchmark
    device = torch.device(resolve_device(settings.compile.device, "compile.device"))
    automatic = resolve_precision(device, "auto")
    precisions: tuple[str, ...] = s.precisions or tuple(dict.fromkeys(["fp32", automatic]))
    subjects = drawn_subjects(settings) if s.random_weights else subjects_of_folders(settings)
    suite = resolve_suite(settings.evaluate).build()
    # Each repeat shows another prompt, the same to all.
    count = max(s.warmup_videos + s.repeats + max(s.batch_sizes) - 1, 2)
    prompts = [p.text for p in evaluation_prompts(settings.evaluate, suite, count)]
    inputs = {
        "prompts": prompts,
        "precisions": precisions,
        **{subject.name: subject.identity for subject in subjects},
    }
    with open_run(settings, "benchmark", ("benchmark", "compile"), inputs=inputs, folder=folder) as run:
        if run.previous is not None:
            run.metrics.update(run.previous["metrics"])
            run.outputs.update(run.previous["outputs"])
            return run.result_path
        rows, flop = [], {}
        for subject in subjects:
            made, counted = _rows(subject, settings, precisions, device, run.folder)
            rows += made
            flop.update(counted)
        memory = {row.name: peak_bytes(row, device) for row in rows}
        timings = time_pipelines(rows, prompts, s.warmup_videos, s.repeats)
        rates = {precision: matmul_rate(device.type, DTYPES[precision]) for precision in precisions}
        run.metrics.update(
            timings={
                row.name: speed_row(
                    row, timings[row.name], flop[row.name], rates[row.facts["precision"]], memory[row.name]
                )
                for row in rows
            },
            **headline(rows, timings, automatic if automatic in precisions else precisions[0]),
            matmul_tflop_per_second={name: rate / 1e12 for name, rate in rates.items()},
            weights="random" if s.random_weights else "trained",
            device=describe_device(),
        )
        for subject in subjects:
            for precision, package in subject.packages.items():
                run.outputs.setdefault(f"{subject.name}_package", package)
                run.outputs[f"{subject.name}_package_{'_'.join(precision)}"] = package
        print("\n".join(speed_lines(run.metrics)), flush=True)
    return run.result_path


def _rows(
    subject: Subject, settings: Settings, precisions: Sequence[str], device: torch.device, folder: Path
) -> tuple[list[TimedPipeline], dict[str, dict[str, float]]]:
    """Every combination, those of the headline first; and the operations of a video by name of the row."""
    s, rows, flop = settings.benchmark, [], {}
    counted: dict[tuple[int, str], dict[str, float]] = {}
    for precision in precisions:
        eager = subject.load(precision, device)
        modes = {EAGER: dict.fromkeys(subject.decoders, eager)}
        if subject.compiles:
            modes[COMPILED] = {d: subject.compiled(precision, d, folder) for d in subject.decoders}
        for (mode, pipelines), batch, decoder, steps in itertools.product(
            modes.items(), s.batch_sizes, subject.decoders, subject.steps
        ):
            parameters = SamplingParameters(
                steps, subject.guidance_scale, decoder, settings.compile.num_frames, s.fps
            )
            if (steps, decoder) not in counted:
                counted[steps, decoder] = video_flop(eager, parameters)
            facts = {
                "model": subject.name,
                "mode": mode,
                "precision": precision,
                "num_inference_steps": steps,
                "decoder": decoder,
                "batch_size": batch,
                "guidance_scale": subject.guidance_scale,
                "weights_hash": subject.hashes.get(decoder),
                "first": (batch, decoder, steps) == (s.batch_sizes[0], subject.decoders[0], subject.steps[0]),
            }
            name = f"{subject.name}, {mode}, {precision}, {steps} step{'s' * (steps > 1)}, {decoder} decoder"
            name += f", batch {batch}" if batch > 1 else ""
            passes = "two passes" if subject.guided else "one pass"
            note = f"{passes} a step, {subject.weights} weights"
            rows.append(TimedPipeline(name, pipelines[decoder], parameters, batch, note, facts))
            flop[name] = counted[steps, decoder]
    return rows, flop


def headline(
    rows: Sequence[TimedPipeline], timings: Mapping[str, VideoTimes], precision: str
) -> dict[str, Any]:
    """The ratios, each of two rows of one precision.

    Args:
        precision: of the headline.
    """
    seconds = {
        (row.facts["precision"], row.facts["model"], row.facts["mode"]): timings[row.name].seconds
        for row in rows
        if row.facts["first"]
    }

    def ratio(precision: str, teacher: str, student: str) -> float | None:
        first, second = (
            seconds.get((precision, "teacher", teacher)),
            seconds.get((precision, "student", student)),
        )
        return None if first is None or second is None else first / second

    precisions = dict.fromkeys(row.facts["precision"] for row in rows)
    speedups = {
        p: {
            "eager": ratio(p, EAGER, COMPILED),
            "compiled": ratio(p, COMPILED, COMPILED),
            "both eager": ratio(p, EAGER, EAGER),
        }
        for p in precisions
    }
    fastest = COMPILED if (precision, "student", COMPILED) in seconds else EAGER
    return {
        "precision": precision,
        "speedups": speedups,
        "speedup": seconds[precision, "teacher", EAGER] / seconds[precision, "student", fastest],
        "speedup_compiled": speedups[precision]["compiled"],
        "seconds_per_video": {
            "teacher": seconds[precision, "teacher", EAGER],
            "student": seconds[precision, "student", fastest],
        },
    }


def speed_lines(metrics: Mapping[str, Any]) -> Iterator[str]:
    """The metrics of the benchmark for a terminal."""
    width = max(map(len, metrics["timings"])) + 2
    yield ""
    yield f"{'seconds a video':{width}}{'time':>10}{'limit':>10}{'of it':>8}{'TFLOP':>9}{'peak GiB':>10}"
    for name, row in metrics["timings"].items():
        yield (
            f"{name:{width}}{row['seconds']:10.3f}{row['limit_seconds']:10.3f}{row['mfu']:8.1%}"
            f"{sum(row['flop'].values()) / 1e12:9.3f}{row['peak_gib']:10.2f}"
        )
    for precision, ratios in metrics["speedups"].items():
        words = [
            f"{ratio:.1f} times the {name}"
            for name, ratio in (
                ("eager teacher's speed, student compiled", ratios["eager"]),
                ("compiled teacher's, student compiled", ratios["compiled"]),
                ("eager teacher's, student eager", ratios["both eager"]),
            )
            if ratio is not None
        ]
        yield f"student in {precision}: {'; '.join(words)}"
    rates = ", ".join(f"{name} {rate:.3g}" for name, rate in metrics["matmul_tflop_per_second"].items())
    yield f"{metrics['weights']} weights; {metrics['device']}; TFLOP/s of a matrix product: {rates}"
