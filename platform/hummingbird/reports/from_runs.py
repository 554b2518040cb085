"""Parts of the report from what runs wrote: plan, loss curves, videos, scores, speed, the list of runs."""

import fnmatch
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from hummingbird.core.scratch import local_copy
from hummingbird.evaluation.intervals import Interval
from hummingbird.evaluation.score import LEFT_OUT, SHAPES
from hummingbird.models.stages import UNetSpec
from hummingbird.reports.embed import video_uri
from hummingbird.reports.report_data import (
    Curve,
    Plan,
    PlanBlock,
    PlanStage,
    RunRow,
    Scores,
    Speed,
    SpeedBar,
    Video,
    VideoGrid,
    VideoRow,
)

Result = Mapping[str, Any]
"""A ``result.json``."""

_SUMMARY = ("total", "quality", "semantic")


def plan_part(
    teacher: Mapping[str, Any],
    kept: Mapping[str, Sequence[Sequence[int]]],
    middle: bool,
    parameters: tuple[int, int],
    note: str = "",
    gone: Mapping[str, tuple[str, ...]] | None = None,
) -> Plan:
    """The picture's data from the teacher's U-Net configuration and the layers that the plan keeps.

    Args:
        gone: in words what went of layers that stay, by their names (``up.1.2``).
    """
    gone = gone or {}
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
                gone.get(f"{side}.{index}.{number}", ()),
            )
            for number, layer in enumerate(stage.layers)
        )
        stages.append(PlanStage(side, index if side == "down" else deepest - index, blocks))
    if spec.middle:
        block = PlanBlock("middle", spec.deepest_width, middle, True)
        stages.append(PlanStage("middle", deepest, (block,)))
    return Plan(tuple(stages), *parameters, note)


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
    """The first ``rows`` prompts of an evaluation with every model's video."""
    videos = local_copy(evaluated["outputs"]["videos"])
    sampling = evaluated["outputs"]["sampling"]
    table = pq.read_table(local_copy(evaluated["outputs"]["rows"])).to_pylist()
    chosen: dict[int, VideoRow] = {}
    for row in table:
        if row["index"] < rows:
            line = chosen.setdefault(row["index"], VideoRow(row["prompt"], row["seed"], {}))
            wrong = tuple(key.removeprefix("right ") for key, value in row.items() if value is False)
            found = {**line.videos, row["model"]: Video(video_uri(videos / row["video"]), wrong)}
            chosen[row["index"]] = VideoRow(line.prompt, line.seed, found)
    notes = {name: f"{s['steps']} steps, guidance {s['guidance']:g}" for name, s in sampling.items()}
    return VideoGrid(tuple(sampling), tuple(chosen[i] for i in sorted(chosen)), notes)


def scores_part(evaluated: Result) -> Scores:
    """Scores with intervals, definitions, and the first model's acceptance rates."""
    models = evaluated["metrics"]["models"]
    names = [d.name for d in SHAPES]
    values = {}
    for model, found in models.items():
        flat = {**{row: found[row] for row in _SUMMARY}, **{row: found["dimensions"][row] for row in names}}
        values[model] = {row: Interval(**interval) for row, interval in flat.items()}
    first = next(iter(models))
    accepted = models[first]["acceptance"]
    return Scores(
        models=tuple(models),
        rows=(*_SUMMARY, *names),
        values=values,
        parts={d.name: d.part for d in SHAPES},
        prompts=evaluated["metrics"]["prompts"],
        acceptance={f"{first}, one object, {name} right": rate for name, rate in accepted.items()},
        definitions={d.name: d.definition for d in SHAPES},
        left_out=LEFT_OUT,
    )


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
