"""The line: which verb hands what to the next, and what of all of it stands in the line's own result."""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hummingbird.config.evaluate import EvaluatedModel
from hummingbird.config.import_checkpoint import ImportCheckpointSettings
from hummingbird.config.line import LineImport
from hummingbird.config.loading import load_settings, verb_settings
from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.core.files import as_path
from hummingbird.core.scratch import origin
from hummingbird.importing.format import find_format
from hummingbird.lake.runs import Run, load_result, open_run

from hummingbird_jobs.recipes import recipe_title
from hummingbird_jobs.verbs import VERBS

Results = Mapping[str, Mapping[str, Any]]
"""The ``result.json`` of each verb that has run, by its name."""
Function = Callable[[Settings], Path]

STUDENTS = {"prune": "pruned", "distill": "distilled", "feedback": "feedback"}
"""Verbs whose output ``pipeline`` is a student, in order, and what evaluation calls it."""


def with_section(settings: Settings, section: str, **values: Any) -> Settings:
    """The same settings with some values of a section replaced."""
    changed = getattr(settings, section).model_copy(update=values)
    return settings.model_copy(update={section: changed})


def curate_settings(settings: Settings, results: Results) -> Settings:
    """What was drawn is curated, else ``curate.source``."""
    if "footage" not in results:
        return settings
    return with_section(settings, "curate", source=results["footage"]["outputs"]["footage"])


def encode_settings(settings: Settings, results: Results) -> Settings:
    """The snapshot that curation ended with."""
    if "curate" not in results:
        return settings
    return with_section(settings, "encode", snapshot=results["curate"]["outputs"]["snapshot_id"])


def imported_settings(settings: Settings, results: Results) -> Settings:
    """The teacher that was imported, else ``models.teacher``; and the folders of ``line.imports`` in their settings.

    Raises:
        InputError: there is no such setting.
    """
    if "import_checkpoint" not in results:
        return settings
    settings = with_section(settings, "models", teacher=results["import_checkpoint"]["outputs"]["pipeline"])
    folders = {
        into: results[import_name(item)]["outputs"][find_format(item.format).kind]
        for item in settings.line.imports
        if import_name(item) in results
        for into in item.into
    }
    if not folders:
        return settings
    tree = settings.model_dump(mode="json")
    for into, folder in folders.items():
        *sections, name = into.split(".")
        place = tree
        for section in sections:
            place = place.setdefault(section, {})
        place[name] = str(folder)
    return load_settings(defaults=tree)


def import_name(item: LineImport) -> str:
    """What results call one of ``line.imports``."""
    return f"import_checkpoint {item.into[0]}"


def import_settings(settings: Settings, item: LineImport) -> Settings:
    """The settings that one of ``line.imports`` is imported with."""
    section = ImportCheckpointSettings(**item.model_dump(exclude={"into"}))
    return settings.model_copy(update={"import_checkpoint": section})


def decoder_settings(settings: Settings, results: Results) -> Settings:
    """The latents that were encoded."""
    if "encode" not in results:
        return settings
    return with_section(settings, "training", cache=as_path(results["encode"]["outputs"]["cache"]))


def teacher_settings(settings: Settings, results: Results) -> Settings:
    """`imported_settings`, and as the teacher the one with the small decoder that was distilled, if one was."""
    settings = imported_settings(settings, results)
    if "decoder" not in results:
        return settings
    return with_section(settings, "models", teacher=results["decoder"]["outputs"]["pipeline"])


def plan_settings(settings: Settings, results: Results) -> Settings:
    """The teacher, and the latents that were encoded."""
    settings = with_section(settings, "plan", model=settings.models.teacher)
    if "encode" in results:
        settings = with_section(settings, "training", cache=as_path(results["encode"]["outputs"]["cache"]))
    return settings


def prune_settings(settings: Settings, results: Results) -> Settings:
    """The plan that was made, else ``prune.plan``."""
    if "plan" not in results:
        return settings
    return with_section(settings, "prune", plan=str(results["plan"]["outputs"]["plan"]))


def training_settings(settings: Settings, results: Results) -> Settings:
    """The latents that were encoded, and the newest student."""
    if "encode" in results:
        settings = with_section(settings, "training", cache=as_path(results["encode"]["outputs"]["cache"]))
    return student_settings(settings, results)


def student_settings(settings: Settings, results: Results) -> Settings:
    """The newest student, else ``models.student``."""
    student_paths = students(results)
    return (
        with_section(settings, "models", student=list(student_paths.values())[-1])
        if student_paths
        else settings
    )


def evaluate_settings(settings: Settings, results: Results) -> Settings:
    """``evaluate.models``, or where it is empty the teacher and every student of the line."""
    settings = student_settings(settings, results)
    if settings.evaluate.models:
        return settings
    # The guidance is built into the distilled student: at 1 it makes one pass a step.
    candidates = [EvaluatedModel(name="teacher", path=settings.models.teacher)] + [
        EvaluatedModel(name=name, path=path, guidance_scale=1.0 if name == "distilled" else None)
        for name, path in students(results).items()
    ]
    return with_section(settings, "evaluate", models=tuple(candidates)) if len(candidates) > 1 else settings


def compile_settings(settings: Settings, results: Results) -> Settings:
    """The newest student, else ``compile.model``."""
    student_paths = students(results)
    return (
        with_section(settings, "compile", model=list(student_paths.values())[-1])
        if student_paths
        else settings
    )


def benchmark_settings(settings: Settings, results: Results) -> Settings:
    """The newest student and its package."""
    settings = student_settings(settings, results)
    if "compile" not in results:
        return settings
    return with_section(
        settings, "benchmark", student_package=as_path(results["compile"]["outputs"]["package"])
    )


def unchanged(settings: Settings, results: Results) -> Settings:
    """A verb that takes nothing of the others."""
    return settings


STEPS: dict[str, Callable[[Settings, Results], Settings]] = {
    "import_checkpoint": unchanged,
    "footage": unchanged,
    "curate": curate_settings,
    "encode": encode_settings,
    "decoder": decoder_settings,
    "plan": plan_settings,
    "prune": prune_settings,
    "distill": training_settings,
    "feedback": training_settings,
    "evaluate": evaluate_settings,
    "compile": compile_settings,
    "benchmark": benchmark_settings,
}
"""By verb, in order: the settings it runs with, of the line's and of what the verbs before it made. The teacher is
handed to all."""

_SECTIONS = (
    "line", "models", "import_checkpoint", "footage", "curate", "encode", "decoder", "plan", "prune", "training",
    "distill", "feedback", "evaluate", "compile", "benchmark",
)  # fmt: skip


def students(results: Results) -> dict[str, str]:
    """The pipelines of the students made so far, by name, the newest last."""
    return {name: results[verb]["outputs"]["pipeline"] for verb, name in STUDENTS.items() if verb in results}


def run_verbs(settings: Settings, functions: Mapping[str, Function]) -> dict[str, Path]:
    """Runs ``line.verbs`` one after the other; returns their ``result.json`` by name.

    Args:
        functions: what runs each verb.

    Raises:
        Exception: whatever a verb raises. Run again, the verbs before it find what they made.
    """
    paths: dict[str, Path] = {}
    results: dict[str, Mapping[str, Any]] = {}
    for number, verb in enumerate(settings.line.verbs, 1):
        print(f"\n[{number}/{len(settings.line.verbs)}] {verb}", flush=True)
        chosen = STEPS[verb](teacher_settings(verb_settings(settings, verb), results), results)
        paths[verb] = functions[verb](chosen)
        results[verb] = load_result(paths[verb])
        for item in settings.line.imports if verb == "import_checkpoint" else ():
            print(f"{item.into[0]}: {item.checkpoint}", flush=True)
            name = import_name(item)
            paths[name] = functions[verb](import_settings(settings, item))
            results[name] = load_result(paths[name])
    return paths


def line(settings: Settings, args: argparse.Namespace) -> Path:
    """Runs the recipe and writes its report; returns the path of ``result.json``.

    Outputs: ``student``, ``package``, ``report``, and ``results``, the ``result.json`` of every verb.

    Raises:
        InputError: no recipe was named.
    """
    if args.recipe is None:
        raise InputError("name a recipe: --recipe shapes-quick, or a YAML file")
    functions = {verb: VERBS[verb].call for verb in STEPS} | {"plan": budgeted_plan}
    recipe = recipe_title(args.recipe)
    if not args.rehearse:
        return run_line(settings, recipe, functions)
    from hummingbird_jobs.rehearsal.rehearse import rehearsal_of
    from hummingbird_jobs.rehearsal.served import served_video

    if not isinstance(settings.storage, Path):
        raise InputError("a rehearsal writes its models into a folder: --storage DIR")
    place = settings.storage / "rehearsal" / recipe
    settings, differences = rehearsal_of(settings, place)
    print(f"The rehearsal of {recipe} differs in {len(differences)} settings:")
    for one in differences:
        print(f"  {one.key}: {one.recipe} -> {one.rehearsal} ({one.kind})")

    def serve(run: Run) -> None:
        import ray

        ray.shutdown()  # the server has a Ray of its own
        print("\nserve", flush=True)
        run.outputs["video"] = served_video(
            settings.storage, str(run.outputs["package"]), run.folder / "video.mp4"
        )

    return run_line(settings, f"{recipe}-rehearsal", functions, serve)


def add_line_arguments(parser: argparse.ArgumentParser) -> None:
    """``--rehearse``."""
    parser.add_argument(
        "--rehearse",
        action="store_true",
        help="write every model that the recipe names at small width with random weights in its published format, "
        "and run the line with them over curate.source, to a video from a server",
    )


def budgeted_plan(settings: Settings) -> Path:
    """Makes the plan of ``plan.budget`` for ``plan.model``; returns the path of ``result.json``."""
    from hummingbird.pruning.planner.make_plan import make_plan
    from hummingbird.pruning.planner.plan_verb import video_shape
    from hummingbird.pruning.planner.planned_models import planned_model

    model = planned_model(settings.plan.model)
    return make_plan(settings, model, video_shape(settings, model))


def run_line(
    settings: Settings,
    recipe: str,
    functions: Mapping[str, Function],
    last: Callable[[Run], None] | None = None,
) -> Path:
    """`line`, with the functions that run the verbs, and what is done ``last``, before the report."""
    place = settings.storage / (settings.line.folder or f"line/{recipe}")
    with open_run(settings, "line", _SECTIONS, inputs={"recipe": recipe}, folder=place) as run:
        paths = run_verbs(settings, functions)
        results = {verb: load_result(path) for verb, path in paths.items()}
        if "curate" in results:
            run.snapshot_id = results["curate"]["outputs"]["snapshot_id"]
        run.outputs["results"] = {verb: str(origin(path)) for verb, path in paths.items()}
        student_paths = students(results)
        if student_paths:
            run.outputs["student"] = list(student_paths.values())[-1]
        if "compile" in results:
            run.outputs["package"] = results["compile"]["outputs"]["package"]
        run.metrics.update(line_metrics(results))
        if last is not None:
            last(run)
        run.outputs["report"] = _report(run, settings, recipe, results)
    print(f"\nThe report: open {origin(run.outputs['report'])} in a browser.")
    print(f"The page with the student: jobs/serve.py --storage {settings.storage}")
    return run.result_path


def line_metrics(results: Results) -> dict[str, Any]:
    """What the verbs measured, as far as they ran."""
    verb_metrics = {verb: result["metrics"] for verb, result in results.items()}
    metrics: dict[str, Any] = {}

    def take(verb: str, *names: str) -> None:
        if verb in verb_metrics:
            metrics.update({name: verb_metrics[verb][name] for name in names})

    take("decoder", "decoders")
    take("prune", "teacher_parameters", "student_parameters")
    take("distill", "student_parameters")
    take("feedback", "student_parameters")
    if "evaluate" in verb_metrics:
        scores = verb_metrics["evaluate"]["models"].items()
        totals = {name: scored["total"] for name, scored in scores if scored["total"] is not None}
        if totals:  # a suite whose dimensions are not all measured has none
            metrics.update(
                total={name: total["value"] for name, total in totals.items()},
                total_interval={name: [total["low"], total["high"]] for name, total in totals.items()},
            )
    take("evaluate", "prompts")
    take("benchmark", "seconds_per_video", "speedup", "speedup_compiled", "device")
    take("curate", "kept", "dropped", "quarantined")
    return metrics


def _report(run: Run, settings: Settings, recipe: str, results: Results) -> Path:
    """Writes the page; of footage that was drawn it adds to the metrics how curation did by its truth."""
    from hummingbird.reports.line import line_report, scored_curation
    from hummingbird.reports.page import write_report
    from hummingbird.reports.review import reviewed_curation

    parts = None
    if "footage" in results and "curate" in results:
        parts, score = scored_curation(run.lake, settings.storage, results["curate"], results["footage"])
        run.metrics.update(
            curation={
                "precision": score.precision,
                "recall": score.recall,
                "right_reason": score.right_reason,
                "sound_dropped": score.sound_dropped,
                "quarantine_right": score.quarantine_right,
                "mistakes": list(score.mistakes),
            },
            caption_accuracy={"before": score.caption_before, "after": score.caption_after},
        )
    elif "curate" in results:
        from hummingbird_data.curate import sources_of

        with sources_of(settings) as sources:
            parts = reviewed_curation(run.lake, settings.storage, results["curate"], sources.__contains__)
    page = line_report(run.lake, recipe, results, parts, run.metrics)
    path = run.folder / "report.html"
    write_report(page, path)
    return path
