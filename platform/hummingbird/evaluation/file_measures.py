"""Dimensions that are measured on the finished videos of a model together, added to what was measured of each."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from hummingbird.evaluation.results import VideoResult, VideoTask
from hummingbird.evaluation.suites.base import FinishedVideo, Suite

Results = Mapping[str, Sequence[VideoResult]]


def with_file_values(
    suite: Suite, tasks: Sequence[VideoTask], results: Results, folder: Path
) -> tuple[dict[str, list[VideoResult]], dict[str, str]]:
    """The results of all models with the suite's dimensions ``of_files``, and those that are missing, with reasons.

    What one model lacks is missing for all, since models are compared. A video that could not be made counts as the
    worst.

    Args:
        folder: of the run: the videos lie in its ``videos``, and ``files`` is the suite's.

    Raises:
        ValueError: a value that its dimension cannot have; names model, video and dimension.
    """
    if not suite.of_files:
        return {name: list(rows) for name, rows in results.items()}, {}
    found: dict[str, list[Mapping[str, float]]] = {}
    missing: dict[str, str] = {}
    for model, rows in results.items():
        finished = [
            FinishedVideo(task.prompt, task.prompt.seeds.index(task.seed), folder / "videos" / row.video)
            for task, row in zip(tasks, rows, strict=True)
            if row.video is not None
        ]
        measured = suite.measure_files(finished, folder / "files" / model)
        missing |= measured.missing
        values = iter(measured.values)
        found[model] = [_worst(suite, task) if row.video is None else next(values)
                        for task, row in zip(tasks, rows, strict=True)]  # fmt: skip
    ranges = {d.name: d for d in suite.dimensions}
    added: dict[str, list[VideoResult]] = {}
    for model, rows in results.items():
        added[model] = []
        for row, more in zip(rows, found[model], strict=True):
            kept = {name: value for name, value in more.items() if name not in missing}
            for name, value in kept.items():
                ranges[name].check(value, f"{model}, video {row.id}")
            added[model].append(replace(row, values={**row.values, **kept}))
    return added, missing


def _worst(suite: Suite, task: VideoTask) -> dict[str, float]:
    asked = suite.prompt_dimensions(task.prompt) & suite.of_files
    return {d.name: d.lowest for d in suite.dimensions if d.name in asked}
