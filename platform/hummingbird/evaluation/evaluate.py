"""Evaluation: models and prompts to scores with intervals, and videos."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hummingbird.config.cluster import connect
from hummingbird.config.plugins import Plugin
from hummingbird.config.settings import Settings
from hummingbird.core.devices import describe_device
from hummingbird.core.errors import InputError
from hummingbird.core.files import as_path
from hummingbird.core.hashes import weights_path_hash
from hummingbird.core.scratch import origin
from hummingbird.evaluation.evaluated_models import ResolvedModel, resolve_models
from hummingbird.evaluation.evaluated_speed import time_models
from hummingbird.evaluation.file_measures import with_file_values
from hummingbird.evaluation.generation import evaluate_model
from hummingbird.evaluation.intervals import ModelScore, Scale, ValueTable, score_models
from hummingbird.evaluation.results import (
    VideoResult,
    VideoTask,
    tasks_of,
    write_prompts,
    write_table,
)
from hummingbird.evaluation.suites import resolve_suite
from hummingbird.evaluation.suites.base import (
    EvaluationPrompt,
    Measurement,
    Suite,
    check_declaration,
)
from hummingbird.evaluation.suites.prompt_files import evaluation_prompts
from hummingbird.evaluation.summary import score_lines
from hummingbird.lake.lake import Lake
from hummingbird.lake.runs import code_version, open_run

VERSIONS = ("torch", "diffusers", "transformers", "ray", "numpy")
"""Packages whose versions stand beside the scores."""


def evaluate(settings: Settings, folder: Path | None = None) -> Path:
    """Score the models of ``evaluate.models`` on the same prompts and seeds; returns the path of
    ``result.json``.

    Metrics: ``models`` by name (`ModelScore`, the ``figures`` of the suite, ``failed``: videos that could not be made,
    with their errors), ``missing`` dimensions with the reasons, ``suite`` (name, version, settings, what it declares,
    hashes of its models), ``prompts``, ``rewritten_prompts`` and ``videos`` (how many), ``seeds``, ``stamps`` by model
    (what its videos depend on), ``versions``, ``device``, and with ``evaluate.timed_videos`` ``speed`` (``rows`` by
    model, ``device``). Outputs: ``videos`` (a folder), ``rows`` (Parquet, one row a video), ``prompts`` (ids to
    prompts). Interrupted and run again, it goes on where it was.

    Raises:
        InputError: a model is no pipeline folder, or prompts or a suite that cannot be used.
        RuntimeError: a model could make no video at all.
        ValueError: a value that its dimension cannot have.
    """
    s = settings.evaluate
    plugin = resolve_suite(s)
    suite = plugin.build()
    check_declaration(suite, plugin.name)
    for frames in (s.num_frames, *(model.num_frames or s.num_frames for model in s.models)):
        if frames < suite.min_frames:
            raise InputError(
                f"evaluate.num_frames={frames}: the suite {plugin.name} measures videos of at least "
                f"{suite.min_frames} frames"
            )
    suite.check()
    prompts = evaluation_prompts(s, suite)
    models = resolve_models(settings)
    tasks = tasks_of(prompts)
    judges = {name: weights_path_hash(path) for name, path in suite.models.items()}
    inputs = {
        "models": {m.name: m.key for m in models},
        "suite": {"name": plugin.name, "version": suite.version, "models": judges},
        "prompts": _prompts_hash(tasks),
    }
    with open_run(settings, "evaluate", inputs=inputs, folder=folder) as run:
        connect(settings.ray)
        _quiet_ray_data()
        made = {m.name: evaluate_model(m, plugin, tasks, run.folder, s.batch_size) for m in models}
        results, unmeasured = with_file_values(suite, tasks, made, run.folder)
        scale = Scale(suite.dimensions, suite.parts)
        videos = [(r.prompt.id, r.seed) for r in tasks]
        absent = suite.missing.keys() | unmeasured.keys()
        asked = [suite.prompt_dimensions(r.prompt) - absent for r in tasks]
        tables = {
            name: ValueTable(scale, [r.values for r in rows], videos, asked) for name, rows in results.items()
        }
        scores = score_models(tables, s.resamples, s.seed)
        write_prompts(prompts, run.folder / "prompts.jsonl")
        write_table(results, run.folder / "videos.parquet")
        run.metrics.update(
            models={
                name: score.as_json()
                | {"figures": _figures(suite, tasks, results[name]), "failed": _failed(results[name])}
                for name, score in scores.items()
            },
            missing=missing_dimensions(suite, prompts, unmeasured),
            suite=suite_declaration(plugin, suite) | {"models": judges},
            prompts=len(prompts),
            rewritten_prompts=sum(prompt.original is not None for prompt in prompts),
            videos=len(tasks),
            seeds=[r.seed for r in tasks],
            stamps={m.name: m.stamp | _made_by(results[m.name]) for m in models},
            versions={"hummingbird": code_version(), **{name: version(name) for name in VERSIONS}},
            device=describe_device(),
        )
        run.outputs.update(
            rows=run.folder / "videos.parquet",
            videos=run.folder / "videos",
            prompts=run.folder / "prompts.jsonl",
        )
        for model in models:
            _record_scores(run.lake, model, scores[model.name], plugin.name, suite.version)
        if s.timed_videos:
            texts = [prompt.text for prompt in prompts]
            run.metrics["speed"] = time_models(models, texts, s.timed_videos)
        print("\n".join(score_lines(run.metrics)), flush=True)
    return run.result_path


def missing_dimensions(
    suite: Suite, prompts: Sequence[EvaluationPrompt], unmeasured: Mapping[str, str] = MappingProxyType({})
) -> dict[str, str]:
    """Dimensions that have no value here, and why.

    Args:
        unmeasured: those that turned out so when finished videos were measured.
    """
    covered = frozenset().union(*(suite.prompt_dimensions(prompt) for prompt in prompts))
    uncovered = {d.name: "no prompt asks for it" for d in suite.dimensions if d.name not in covered}
    reasons = {**uncovered, **suite.missing, **unmeasured}
    return {d.name: reasons[d.name] for d in suite.dimensions if d.name in reasons}


def suite_declaration(plugin: Plugin[Suite], suite: Suite) -> dict[str, Any]:
    """What a suite declares, as JSON: reports read this, and know no suite."""
    return {
        "name": plugin.name,
        "version": suite.version,
        "settings": plugin.settings.model_dump(mode="json"),
        "dimensions": [asdict(dimension) for dimension in suite.dimensions],
        "parts": dict(suite.parts),
        "left_out": dict(suite.left_out),
    }


def _prompts_hash(tasks: Sequence[VideoTask]) -> str:
    content = [
        [
            r.id,
            r.prompt.text,
            r.seed,
            sorted(r.prompt.asks or ()),
            dict(r.prompt.auxiliary_info),
            r.prompt.original,
        ]
        for r in tasks
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _figures(suite: Suite, tasks: Sequence[VideoTask], results: Sequence[VideoResult]) -> dict[str, float]:
    measured = [None if r.error is not None else Measurement(r.values, r.checks) for r in results]
    return dict(
        suite.figures([(r.prompt, measurement) for r, measurement in zip(tasks, measured, strict=True)])
    )


def _failed(results: Sequence[VideoResult]) -> list[dict[str, Any]]:
    return [
        {"id": r.id, "prompt": r.prompt, "seed": r.seed, "error": r.error}
        for r in results
        if r.error is not None
    ]


def _made_by(results: Sequence[VideoResult]) -> dict[str, Any]:
    """Size, precision and device as they were: lists, as workers may differ."""
    finished = [r for r in results if r.error is None]
    shapes = sorted({r.shape for r in finished})
    return {
        "sizes": [{"frames": t, "height": h, "width": w} for t, h, w in shapes],
        "precisions": sorted({r.precision for r in finished}),
        "devices": sorted({r.device for r in finished}),
    }


def _record_scores(lake: Lake, model: ResolvedModel, score: ModelScore, suite: str, version: int) -> None:
    """Writes the scores into the row of the table ``models`` whose folder was evaluated, if there is one."""
    means = {part: asdict(interval) for part, interval in score.parts.items()}
    if score.total is not None:
        means["total"] = asdict(score.total)
    stamp = {"suite": suite, "version": version, "sampling": model.description, "raw": dict(score.raw)}
    for row in lake.read("models").to_pylist():
        if row["path"] is not None and as_path(row["path"]) == origin(Path(model.folder)):
            lake.add_model({**row, "scores": {**means, **stamp}})


def _quiet_ray_data() -> None:
    """The bar of `evaluate_model` is enough."""
    from ray.data import DataContext

    DataContext.get_current().enable_progress_bars = False
