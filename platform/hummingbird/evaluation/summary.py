"""The scores of an evaluation in a few lines, for a terminal."""

from collections.abc import Iterator, Mapping
from typing import Any


def score_lines(metrics: Mapping[str, Any]) -> Iterator[str]:
    """From the metrics of ``evaluate``: a table of the models, differences, failures, and what is missing."""
    suite, models = metrics["suite"], metrics["models"]
    yield ""
    yield (
        f"suite {suite['name']}, version {suite['version']}: {metrics['videos']} videos of "
        f"{metrics['prompts']} prompts a model"
    )
    rows = ["total", *suite["parts"], *(d["name"] for d in suite["dimensions"])]
    width = max(map(len, rows)) + 2
    yield " " * width + "".join(f"{name:>26}" for name in models)
    for row in rows:
        cells = [_value(model, row) for model in models.values()]
        if any(cell is not None for cell in cells):
            yield f"{row:{width}}" + "".join(f"{_words(cell):>26}" for cell in cells)
    first, *others = models
    for name in others:
        for row, interval in models[name]["differences"].items():
            if interval["low"] > 0 or interval["high"] < 0:
                yield f"{name} differs from {first} in {row}: {_words(interval, sign='+')}"
    for name, model in models.items():
        if model["failed"]:
            first_error = model["failed"][0]
            yield (
                f"{name}: {len(model['failed'])} of {metrics['videos']} videos could not be made and count as the "
                f"worst; the first, {first_error['id']}: {first_error['error']}"
            )
    for name, row in metrics.get("speed", {}).get("rows", {}).items():
        yield f"{name}: {row['seconds']:.3g} s a video, {row['mfu']:.0%} of the matrix rate ({row['precision']})"
    for name, reason in metrics["missing"].items():
        yield f"missing: {name} ({reason})"
    if all(model["total"] is None for model in models.values()):
        yield "no total: it needs every dimension of its parts"


def _value(model: Mapping[str, Any], row: str) -> Mapping[str, float] | None:
    if row == "total":
        total: Mapping[str, float] | None = model["total"]
        return total
    interval: Mapping[str, float] | None = {**model["dimensions"], **model["parts"]}.get(row)
    return interval


def _words(interval: Mapping[str, float] | None, sign: str = "") -> str:
    if interval is None:
        return "-"
    value, low, high = (100 * interval[key] for key in ("value", "low", "high"))
    return f"{value:{sign}.1f} [{low:{sign}.1f}, {high:{sign}.1f}]"
