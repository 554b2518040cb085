"""Quality against seconds a video: what was measured of both, which of it nothing beats, and what limits each."""

from collections.abc import Iterator, Mapping
from typing import Any

from hummingbird.evaluation.intervals import Interval
from hummingbird.reports.report_data import Frontier, FrontierPoint

Result = Mapping[str, Any]

_NEAR_LIMIT = 0.5  # of the matrix rate: beyond it there is less to win by faster code than by less work


def frontier_part(evaluated: Result, benchmarked: Result | None = None) -> Frontier | None:
    """The frontier of an evaluation that timed its models, with a benchmark's rows of the same weights and sampling.

    Quality is the total, or where there is none the first part that all models have; None where they have none, or
    nothing was timed.
    """
    metrics = evaluated["metrics"]
    models = metrics["models"]
    measure = next((name for name in ("total", *metrics["suite"]["parts"]) if _all_have(models, name)), None)
    if measure is None:
        return None
    quality = {name: _quality(model, measure) for name, model in models.items()}
    points = []
    device = metrics.get("speed", {}).get("device", "")
    for name, row in metrics.get("speed", {}).get("rows", {}).items():
        points.append(_point(name, row, quality[name]))
    if benchmarked is not None and device in ("", benchmarked["metrics"]["device"]):
        device = benchmarked["metrics"]["device"]
        for row in benchmarked["metrics"]["timings"].values():
            for name, stamp in metrics["stamps"].items():
                if _is_the_same(row, stamp) and not (
                    row["mode"] == "eager" and name in {p.model for p in points}
                ):
                    batch = f", batch {row['batch_size']}" if row["batch_size"] > 1 else ""
                    points.append(
                        _point(f"{name}, {row['mode']}, {row['precision']}{batch}", row, quality[name], name)
                    )
    return Frontier(tuple(points), measure, device) if points else None


def _all_have(models: Mapping[str, Any], measure: str) -> bool:
    return all(
        measure in model["parts"] or (measure == "total" and model["total"]) for model in models.values()
    )


def _quality(model: Mapping[str, Any], measure: str) -> Interval:
    return Interval(**(model["total"] if measure == "total" else model["parts"][measure]))


def _is_the_same(row: Mapping[str, Any], stamp: Mapping[str, Any]) -> bool:
    """Whether a row's videos are those that were scored."""
    same = ("weights_hash", "num_inference_steps", "decoder", "guidance_scale")
    return all(row.get(key) == stamp[key] for key in same) and stamp["precisions"] == [row["precision"]]


def _point(name: str, row: Mapping[str, Any], quality: Interval, model: str = "") -> FrontierPoint:
    return FrontierPoint(
        name,
        model or name,
        row["seconds"],
        quality,
        row["precision"],
        row["mfu"],
        row["peak_gib"],
        _limit(row),
    )


def _limit(row: Mapping[str, Any]) -> str:
    part, seconds = max(row["parts"].items(), key=lambda item: float(item[1]))
    share = seconds / row["seconds"]
    if part != "denoising":
        return f"{part}, {share:.0%} of the time"
    reached = row["denoising_mfu"]
    cause = "its arithmetic: fewer steps or a smaller U-Net" if reached > _NEAR_LIMIT else "how its code runs"
    return f"denoising, {share:.0%} of the time, at {reached:.0%} of the matrix rate: {cause}"


def frontier_rows(frontier: Frontier) -> Iterator[tuple[FrontierPoint, bool]]:
    """The points from the fastest on, and whether nothing is both faster and better."""
    best = {point.name for point in frontier.undominated}
    for point in sorted(frontier.points, key=lambda point: point.seconds):
        yield point, point.name in best
