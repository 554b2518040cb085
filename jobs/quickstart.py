"""Runs the whole line on the small world, from raw video to a compiled student, and writes its report."""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from hummingbird.benchmarks.videos import benchmark
from hummingbird.compiling.compile import compile_model
from hummingbird.config.command_line import run_verb
from hummingbird.config.evaluate import EvaluatedModel
from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.evaluation.curation import of_footage, score_curation
from hummingbird.evaluation.evaluate import evaluate
from hummingbird.lake.runs import load_result, open_run
from hummingbird.pruning.prune import prune
from hummingbird.reports.line import line_report
from hummingbird.reports.page import write_report
from hummingbird.shapes.footage import make_footage
from hummingbird.shapes.truth import read_truth
from hummingbird.training.distill import distill
from hummingbird.training.feedback import feedback
from hummingbird_data.curate import curate
from hummingbird_data.encode import encode

PRESETS = Path(__file__).parent / "presets"


def with_section(settings: Settings, section: str, **values: Any) -> Settings:
    """The same settings with some values of a section replaced."""
    changed = getattr(settings, section).model_copy(update=values)
    return settings.model_copy(update={section: changed})


def main(settings: Settings, given: argparse.Namespace) -> Path:
    folder = settings.storage / "quickstart"
    results: dict[str, Path] = {}
    with open_run(settings, "quickstart", tuple(_SECTIONS), folder=folder) as run:

        def step(verb: str, function: Callable[[Settings], Path], chosen: Settings) -> Mapping[str, Any]:
            print(f"\n[{len(results) + 1}/8] {verb}", flush=True)
            results[verb] = function(chosen)
            return load_result(results[verb])

        print("raw footage of the shapes world", flush=True)
        footage = folder / "footage"
        truth = make_footage(footage, settings.footage)
        curated = step("curate", curate, with_section(settings, "curate", source=footage.absolute()))
        snapshot = curated["outputs"]["snapshot_id"]
        cache = step("encode", encode, with_section(settings, "encode", snapshot=snapshot))["outputs"][
            "cache"
        ]
        training = with_section(settings, "training", cache=Path(cache))
        models = {"pruned": step("prune", prune, settings)["outputs"]["pipeline"]}
        for verb, function, kind, before in (
            ("distill", distill, "distilled", "pruned"),
            ("feedback", feedback, "feedback", "distilled"),
        ):
            trained = step(verb, function, with_section(training, "models", student=models[before]))
            models[kind] = trained["outputs"]["pipeline"]
        student = with_section(settings, "models", student=models["feedback"])
        candidates = [EvaluatedModel(name="teacher", path=settings.models.teacher)]
        # The guidance is built into the distilled student: at 1 it makes one pass a step.
        candidates += [
            EvaluatedModel(name=name, path=path, guidance_scale=1.0 if name == "distilled" else None)
            for name, path in models.items()
        ]
        evaluated = step("evaluate", evaluate, with_section(student, "evaluate", models=tuple(candidates)))
        compiled = step("compile", compile_model, with_section(student, "compile", model=models["feedback"]))
        package = Path(compiled["outputs"]["package"])
        timed = step("benchmark", benchmark, with_section(student, "benchmark", student_package=package))

        files = read_truth(truth)
        clips, quarantine = (
            of_footage(run.lake.read(table, snapshot_id=snapshot), footage.absolute(), files)
            for table in ("clips", "quarantine")
        )
        score = score_curation(clips.to_pylist(), quarantine.to_pylist(), files)
        pruned = load_result(results["prune"])["metrics"]
        totals = {name: found["total"] for name, found in evaluated["metrics"]["models"].items()}
        run.snapshot_id = snapshot
        run.metrics.update(
            teacher_parameters=pruned["teacher_parameters"],
            student_parameters=load_result(results["feedback"])["metrics"]["student_parameters"],
            total={name: total["value"] for name, total in totals.items()},
            total_interval={name: [total["low"], total["high"]] for name, total in totals.items()},
            prompts=evaluated["metrics"]["prompts"],
            seconds_per_video=timed["metrics"]["seconds_per_video"],
            speedup=timed["metrics"]["speedup"],
            speedup_compiled=timed["metrics"]["speedup_compiled"],
            kept=curated["metrics"]["kept"],
            dropped=curated["metrics"]["dropped"],
            quarantined=curated["metrics"]["quarantined"],
            curation={
                "precision": score.precision,
                "recall": score.recall,
                "right_reason": score.right_reason,
                "sound_dropped": score.sound_dropped,
                "quarantine_right": score.quarantine_right,
                "mistakes": list(score.mistakes),
            },
            caption_accuracy={"before": score.caption_before, "after": score.caption_after},
            device=timed["metrics"]["device"],
        )
        report = write_report(
            line_report(run.lake, settings.storage, results, clips, quarantine, score, run.metrics),
            folder / "report.html",
        )
        run.outputs.update(
            report=report,
            package=package,
            student=models["feedback"],
            results={k: str(v) for k, v in results.items()},
        )
    print(f"\nThe report: open {report} in a browser. The page with the student: make serve")
    return run.result_path


_SECTIONS = (
    "footage", "curate", "encode", "models", "prune", "training", "distill", "feedback", "evaluate", "compile",
    "benchmark",
)  # fmt: skip


def arguments(parser: argparse.ArgumentParser) -> None:
    names = ", ".join(sorted(path.stem for path in PRESETS.glob("*.yaml")))
    parser.add_argument(
        "--preset", default="quick", metavar="NAME", help=f"size of the line: {names} (quick)"
    )


def preset(given: argparse.Namespace) -> Mapping[str, Any]:
    path = PRESETS / f"{Path(given.preset).name}.yaml"
    if not path.is_file():
        names = ", ".join(sorted(found.stem for found in PRESETS.glob("*.yaml")))
        raise InputError(f"no preset {given.preset!r}; there are: {names}")
    values: Mapping[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return values


if __name__ == "__main__":
    run_verb("quickstart", __doc__ or "", main, sections=(), arguments=arguments, defaults=preset)
