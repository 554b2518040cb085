"""The report of the whole line: from what its runs wrote and what the lake holds."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from hummingbird.evaluation.curation import CurationScore
from hummingbird.lake.lake import Lake
from hummingbird.lake.runs import load_result
from hummingbird.pruning.pruning_plan import Plan as PruningPlan
from hummingbird.pruning.pruning_plan import parts_gone
from hummingbird.reports.from_lake import captions_part, curation_part, lineage_part
from hummingbird.reports.from_runs import (
    curve_part,
    grid_part,
    plan_part,
    runs_part,
    scores_part,
    speed_part,
)
from hummingbird.reports.page import duration, millions
from hummingbird.reports.report_data import Headline, Plan, ReportData

_DISTILL = ("output", "feature_0", "feature_1", "feature_2")
_REWARDS = ("image_reward", "video_reward")


def line_report(
    lake: Lake,
    storage: Path,
    results: Mapping[str, Path],
    clips: pa.Table,
    quarantine: pa.Table,
    curation: CurationScore,
    metrics: Mapping[str, Any],
) -> ReportData:
    """Everything that quickstart made, on one page.

    Args:
        results: ``result.json`` by verb: curate, prune, distill, feedback, evaluate, compile and benchmark.
        clips, quarantine: the footage's rows.
        curation: curation against the truth.
        metrics: the line's own numbers, as they stand in its ``result.json``.
    """
    loaded = {verb: load_result(path) for verb, path in results.items()}
    accuracy = (curation.caption_before, curation.caption_after)
    losses = {verb: Path(loaded[verb]["outputs"]["losses"]) for verb in ("distill", "feedback")}
    return ReportData(
        title="Hummingbird on the shapes world",
        subtitle="From raw video to a small, fast, served text-to-video model",
        created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        headlines=_headlines(metrics),
        curation=curation_part(clips, quarantine, storage, curation.rates),
        captions=captions_part(clips, storage, accuracy, curation.true_captions),
        plan=_plan(loaded["prune"]),
        curves=(
            curve_part(
                "Distillation", losses["distill"], _DISTILL, note="squared errors to the guided teacher"
            ),
            curve_part("Feedback: consistency", losses["feedback"], ("consistency",)),
            curve_part(
                "Feedback: rewards", losses["feedback"], _REWARDS, logarithmic=False, note="higher is better"
            ),
        ),
        grid=grid_part(loaded["evaluate"]),
        scores=scores_part(loaded["evaluate"]),
        speed=speed_part(loaded["benchmark"]),
        lineage=lineage_part(lake, loaded["compile"]["outputs"]["model_id"]),
        runs=runs_part(loaded.values()),
    )


def _headlines(metrics: Mapping[str, Any]) -> tuple[Headline, ...]:
    teacher, student = metrics["teacher_parameters"], metrics["student_parameters"]
    seconds, total, interval = metrics["seconds_per_video"], metrics["total"], metrics["total_interval"]
    low, high = (100 * bound for bound in interval["feedback"])
    captions = metrics["caption_accuracy"]
    return (
        Headline(
            "faster",
            f"{metrics['speedup']:.1f}×",
            f"{duration(seconds['teacher'])} to {duration(seconds['student'])} a video, end to end",
        ),
        Headline(
            "total",
            f"{100 * total['feedback']:.1f}",
            f"teacher {100 * total['teacher']:.1f}; 95 % interval {low:.1f} to {high:.1f}, "
            f"{metrics['prompts']} prompts",
        ),
        Headline(
            "parameters",
            f"{student / teacher:.0%}",
            f"{millions(student)} of the teacher's {millions(teacher)}",
        ),
        Headline(
            "clips kept",
            str(metrics["kept"]),
            f"{metrics['dropped']} dropped, {metrics['quarantined']} files in quarantine",
        ),
        Headline(
            "captions true", f"{captions['after']:.0%}", f"of attributes; before: {captions['before']:.0%}"
        ),
    )


def _plan(pruned: Mapping[str, Any]) -> Plan:
    report = json.loads(Path(pruned["outputs"]["report"]).read_text(encoding="utf-8"))
    kept: dict[str, list[list[int]]] = {
        side: [[] for _ in report["teacher"]["config"][f"{side}_stages"]] for side in ("down", "up")
    }
    for layer in report["layers"]:
        side, _, place = layer["layer"].partition(".")
        if layer["kept"] and side in kept:
            stage, number = map(int, place.split("."))
            kept[side][stage].append(number)
    middle = any(layer["layer"] == "middle" and layer["kept"] for layer in report["layers"])
    parameters = (report["teacher"]["parameters"], report["student"]["parameters"])
    teacher, plan = report["teacher"]["config"], PruningPlan.model_validate(report["plan"])
    return plan_part(teacher, kept, middle, parameters, plan.name, parts_gone(plan, teacher))
