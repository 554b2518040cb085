"""The report of the whole line: from what its runs wrote and what the lake holds."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from hummingbird.core.files import AnyPath, as_path
from hummingbird.core.scratch import local_copy
from hummingbird.evaluation.curation import CurationScore, of_footage, score_curation
from hummingbird.lake.lake import Lake
from hummingbird.models.stages import UNetSpec
from hummingbird.pruning.pruning_plan import Plan, reductions_by_layer
from hummingbird.reports.from_lake import captions_part, curation_part, lineage_part
from hummingbird.reports.from_runs import (
    curve_part,
    grid_part,
    plan_part,
    runs_part,
    scores_part,
    speed_part,
)
from hummingbird.reports.frontier import frontier_part
from hummingbird.reports.page import duration, millions
from hummingbird.reports.report_data import Captions, Curation, Headline, PlanPicture, ReportData
from hummingbird.shapes.truth import read_truth

_DISTILL = ("output", "feature_0", "feature_1", "feature_2")
_REWARDS = ("reward/*",)


def line_report(
    lake: Lake,
    recipe: str,
    results: Mapping[str, Mapping[str, Any]],
    curated: tuple[Curation, Captions | None] | None,
    metrics: Mapping[str, Any],
) -> ReportData:
    """Everything that a line made, on one page, as far as its verbs ran.

    Args:
        recipe: its name.
        results: ``result.json`` by verb.
        curated: what became of the clips, and their captions.
        metrics: the line's own numbers, as they stand in its ``result.json``.
    """
    curves = []
    if "distill" in results:
        losses, note = (
            local_copy(results["distill"]["outputs"]["losses"]),
            "squared errors to the guided teacher",
        )
        curves.append(curve_part("Distillation", losses, _DISTILL, note=note))
    if "feedback" in results:
        losses = local_copy(results["feedback"]["outputs"]["losses"])
        curves.append(curve_part("Feedback: consistency", losses, ("consistency",)))
        curves.append(
            curve_part("Feedback: rewards", losses, _REWARDS, logarithmic=False, note="higher is better")
        )
    models = [results[verb]["outputs"].get("model_id") for verb in results]
    served = next((model for model in reversed(models) if model is not None), None)
    return ReportData(
        title=f"Hummingbird: {recipe}",
        subtitle="From raw video to a small, fast, served text-to-video model",
        created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        headlines=tuple(_headlines(metrics)),
        curation=None if curated is None else curated[0],
        captions=None if curated is None else curated[1],
        plan=_plan(results["prune"]) if "prune" in results else None,
        curves=tuple(curves),
        grid=grid_part(results["evaluate"]) if "evaluate" in results else None,
        scores=scores_part(results["evaluate"]) if "evaluate" in results else None,
        speed=speed_part(results["benchmark"]) if "benchmark" in results else None,
        frontier=frontier_part(results["evaluate"], results.get("benchmark"))
        if "evaluate" in results
        else None,
        lineage=() if served is None else lineage_part(lake, served),
        runs=runs_part(results.values()),
    )


def scored_curation(
    lake: Lake, storage: AnyPath, curated: Mapping[str, Any], footage: Mapping[str, Any]
) -> tuple[tuple[Curation, Captions | None], CurationScore]:
    """What became of the clips of footage that was drawn, and how that compares with its truth.

    Args:
        curated, footage: their ``result.json``.
    """
    files = read_truth(local_copy(footage["outputs"]["truth"]))
    snapshot, folder = curated["outputs"]["snapshot_id"], footage["outputs"]["footage"]
    clips, quarantine = (
        of_footage(lake.read(table, snapshot_id=snapshot), folder, files) for table in ("clips", "quarantine")
    )
    score = score_curation(clips.to_pylist(), quarantine.to_pylist(), files)
    accuracy = (score.caption_before, score.caption_after)
    filters = curated["metrics"]["filters"]
    curation = curation_part(clips, quarantine, storage, score.rates, filters=filters)
    return (curation, captions_part(clips, storage, accuracy, score.true_captions)), score


def _headlines(metrics: Mapping[str, Any]) -> Iterator[Headline]:
    if "speedup" in metrics:
        seconds = metrics["seconds_per_video"]
        times = f"{duration(seconds['teacher'])} to {duration(seconds['student'])} a video, end to end"
        yield Headline("faster", f"{metrics['speedup']:.1f}×", times)
    if metrics.get("total"):
        first, *_, last = metrics["total"]
        low, high = (100 * bound for bound in metrics["total_interval"][last])
        yield Headline(
            "total",
            f"{100 * metrics['total'][last]:.1f}",
            f"{first} {100 * metrics['total'][first]:.1f}; 95 % interval {low:.1f} to {high:.1f}, "
            f"{metrics['prompts']} prompts",
        )
    if "teacher_parameters" in metrics:
        teacher, student = metrics["teacher_parameters"], metrics["student_parameters"]
        words = f"{millions(student)} of the teacher's {millions(teacher)}"
        yield Headline("parameters", f"{student / teacher:.0%}", words)
    if "kept" in metrics:
        words = f"{metrics['dropped']} dropped, {metrics['quarantined']} files in quarantine"
        yield Headline("clips kept", str(metrics["kept"]), words)
    if "caption_accuracy" in metrics:
        captions = metrics["caption_accuracy"]
        words = f"of attributes; before: {captions['before']:.0%}"
        yield Headline("captions true", f"{captions['after']:.0%}", words)


def _plan(pruned: Mapping[str, Any]) -> PlanPicture:
    report = json.loads(as_path(pruned["outputs"]["report"]).read_text(encoding="utf-8"))
    spec = UNetSpec.of(report["teacher"]["config"])
    kept: dict[str, list[list[int]]] = {side: [[] for _ in spec.stages(side)] for side in ("down", "up")}
    for layer in report["layers"]:
        side, _, place = layer["layer"].partition(".")
        if layer["kept"] and side in kept:
            stage, number = map(int, place.split("."))
            kept[side][stage].append(number)
    middle = any(layer["layer"] == "middle" and layer["kept"] for layer in report["layers"])
    parameters = (report["teacher"]["parameters"], report["student"]["parameters"])
    teacher, plan = report["teacher"]["config"], Plan.model_validate(report["plan"])
    return plan_part(teacher, kept, middle, parameters, plan.name, reductions_by_layer(plan, teacher))
