"""Parts of the report from what runs wrote: plan, loss curves, videos, scores, speed, the list of runs."""

import fnmatch
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from hummingbird.core.scratch import local_copy
from hummingbird.evaluation.intervals import Interval
from hummingbird.models.stages import UNetSpec
from hummingbird.reports.report_data import (
    Curve,
    Failure,
    GridVideo,
    PlanBlock,
    PlanPicture,
    PlanStage,
    RunRow,
    Scores,
    Speed,
    SpeedBar,
    VideoGrid,
    VideoRow,
)

Result = Mapping[str, Any]
"""A ``result.json``."""
_FAILURES = 20  # of a model, that the page shows


def plan_part(
    teacher: Mapping[str, Any],
    kept: Mapping[str, Sequence[Sequence[int]]],
    middle: bool,
    parameters: tuple[int, int],
    note: str = "",
    reductions: Mapping[str, tuple[str, ...]] | None = None,
) -> PlanPicture:
    """The picture's data from the teacher's U-Net configuration and the layers that the plan keeps.

    Args:
        reductions: in words what went of layers that stay, by their names (``up.1.2``).
    """
    reductions = reductions or {}
    stages = []
    spec = UNetSpec.of(teacher)
    deepest = len(spec.down) - 1
    for side, index, stage in spec.sides():
        blocks = tuple(
            PlanBlock(
                f"block {number}",
                stage.width,
                number in kept[side][index],
                layer.attention,
                reductions.get(f"{side}.{index}.{number}", ()),
            )
            for number, layer in enumerate(stage.layers)
        )
        stages.append(PlanStage(side, index if side == "down" else deepest - index, blocks))
    if spec.middle:
        block = PlanBlock("middle", spec.deepest_width, middle, True)
        stages.append(PlanStage("middle", deepest, (block,)))
    return PlanPicture(tuple(stages), *parameters, note)


def curve_part(
    title: str, log: Path, terms: Iterable[str], logarithmic: bool = True, note: str = ""
) -> Curve:
    """The curves of ``terms`` from a training run's ``losses.jsonl``, as far as it has them.

    Args:
        terms: names, or patterns with ``*``; a curve is labeled with what follows the last ``/``.
    """
    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    logged = list(dict.fromkeys(name for row in rows for name in row))
    series = {}
    for term in dict.fromkeys(name for pattern in terms for name in fnmatch.filter(logged, pattern)):
        pairs = [(float(row["step"]), float(row[term])) for row in rows if term in row]
        label = term.rpartition("/")[2].replace("_", " ")
        series[label] = (tuple(s for s, _ in pairs), tuple(v for _, v in pairs))
    return Curve(title, series, logarithmic, note)


def grid_part(evaluated: Result, rows: int = 6) -> VideoGrid:
    """The first ``rows`` videos of an evaluation by every model; one that could not be made has its error."""
    folder = local_copy(evaluated["outputs"]["videos"])
    stamps = evaluated["metrics"]["stamps"]
    lines: dict[str, VideoRow] = {}
    for row in pq.read_table(local_copy(evaluated["outputs"]["rows"])).to_pylist():
        if row["id"] not in lines and len(lines) == rows:
            continue
        line = lines.setdefault(row["id"], VideoRow(row["prompt"], row["seed"], {}))
        video = GridVideo(None, error=row["error"])
        if row["error"] is None:
            checks = {k.removeprefix("check "): v for k, v in row.items() if k.startswith("check ")}
            known = {name: right for name, right in checks.items() if right is not None}
            wrong = tuple(name for name, right in known.items() if not right) if known else None
            video = GridVideo(folder / row["video"], wrong)
        lines[row["id"]] = replace(line, videos={**line.videos, row["model"]: video})
    notes = {
        name: f"{stamp['num_inference_steps']} steps, guidance {stamp['guidance_scale']:g}"
        for name, stamp in stamps.items()
    }
    return VideoGrid(tuple(stamps), tuple(lines.values()), notes)


def scores_part(evaluated: Result) -> Scores:
    """Scores with intervals, what the suite declares, and the first model's figures."""
    metrics = evaluated["metrics"]
    models, suite = metrics["models"], metrics["suite"]
    values = {}
    for name, model in models.items():
        whole = {} if model["total"] is None else {"total": model["total"]}
        measured = {**whole, **model["parts"], **model["dimensions"]}
        values[name] = {row: Interval(**interval) for row, interval in measured.items()}
    first = next(iter(models))
    summary = ("total", *suite["parts"])
    dimensions = suite["dimensions"]
    return Scores(
        suite=suite["name"],
        models=tuple(models),
        summary=summary,
        rows=tuple(
            row
            for row in (*summary, *(d["name"] for d in dimensions))
            if any(row in v for v in values.values())
        ),
        values=values,
        parts={d["name"]: d["part"] or "" for d in dimensions},
        weights=suite["parts"],
        prompts=metrics["prompts"],
        figures={f"{first}: {name}": value for name, value in models[first]["figures"].items()},
        failed={name: len(model["failed"]) for name, model in models.items() if model["failed"]},
        definitions={d["name"]: d["definition"] for d in dimensions},
        missing=metrics["missing"],
        left_out=suite["left_out"],
        failures=tuple(
            Failure(name, one["prompt"], one["seed"], one["error"])
            for name, model in models.items()
            for one in model["failed"][:_FAILURES]
        ),
        differences={
            name: {row: Interval(**interval) for row, interval in model["differences"].items()}
            for name, model in models.items()
            if model["differences"]
        },
        stamps={name: _stamp(stamp) for name, stamp in metrics["stamps"].items()},
        stamp=_scores_stamp(metrics),
    )


def _stamp(stamp: Mapping[str, Any]) -> dict[str, str]:
    sizes = ", ".join(f"{s['frames']} frames of {s['width']} x {s['height']}" for s in stamp["sizes"])
    return {
        "weights": stamp["weights_hash"][:12],
        "steps": str(stamp["num_inference_steps"]),
        "guidance scale": f"{stamp['guidance_scale']:g}",
        "decoder": stamp["decoder"],
        "videos": sizes,
        "precision": ", ".join(stamp["precisions"]),
        "device": ", ".join(stamp["devices"]),
    }


def _scores_stamp(metrics: Mapping[str, Any]) -> dict[str, str]:
    suite, rewritten = metrics["suite"], metrics.get("rewritten_prompts", 0)
    judges = {f"{name} of the suite": value[:12] for name, value in suite.get("models", {}).items()}
    return {
        "suite": f"{suite['name']}, version {suite['version']}",
        "prompts": f"{metrics['prompts']}, {metrics['videos']} videos a model",
        "rewritten prompts": f"{rewritten} of {metrics['prompts']}" if rewritten else "none",
        **judges,
        **{name: str(value)[:40] for name, value in metrics["versions"].items()},
    }


def speed_part(benchmarked: Result) -> Speed:
    """Bars of a benchmark, in its order."""
    metrics = benchmarked["metrics"]
    bars = [SpeedBar(name, t["note"], t["parts"], t["seconds"]) for name, t in metrics["timings"].items()]
    return Speed(tuple(bars), metrics["speedup"], metrics["device"])


def runs_part(results: Iterable[Result]) -> tuple[RunRow, ...]:
    """One row a run, in the order given."""
    return tuple(
        RunRow(r["verb"], r["run_id"], r["seconds"], r["settings_hash"], r["state"]) for r in results
    )
