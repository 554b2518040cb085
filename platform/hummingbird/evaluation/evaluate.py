"""Evaluation: models and prompts to scores with intervals, videos, and how far the teacher can be trusted."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hummingbird.config.cluster import connect
from hummingbird.config.settings import Settings
from hummingbird.core.devices import describe_device
from hummingbird.core.files import as_path
from hummingbird.core.scratch import origin
from hummingbird.evaluation.evaluated_models import Sampling, choose
from hummingbird.evaluation.generation import VideoResult, examine
from hummingbird.evaluation.intervals import ModelScore, score_models
from hummingbird.evaluation.score import SCORE_VERSION
from hummingbird.evaluation.suites.shapes.prompts import evaluation_prompts
from hummingbird.lake.lake import Lake
from hummingbird.lake.runs import open_run


def evaluate(settings: Settings, folder: Path | None = None) -> Path:
    """Score the models of ``evaluate.models`` on the same prompts and seeds; returns the path of
    ``result.json``.

    Metrics: ``models`` by name (total, quality, semantic and dimensions with intervals, raw means, paired
    lead over the first model, acceptance), ``prompts``, ``score_version``, ``device``. Outputs: ``videos``
    (a folder), ``rows`` (parquet, one row a video), ``sampling`` by model. Interrupted and run again, it
    goes on where it was.

    Raises:
        InputError: a model is no pipeline folder.
    """
    s = settings.evaluate
    models = choose(settings)
    prompts = evaluation_prompts(s.prompts, s.seed)
    inputs = {"models": {m.name: m.key for m in models}, "score_version": SCORE_VERSION}
    with open_run(settings, "evaluate", inputs=inputs, folder=folder) as run:
        connect(settings.ray)
        _quiet_ray_data()
        results = {m.name: examine(m, prompts, run.folder, s.batch_size) for m in models}
        scores = score_models(
            {n: [r.values for r in rows] for n, rows in results.items()}, s.resamples, s.seed
        )
        run.metrics.update(
            models={
                n: score.as_json() | {"acceptance": acceptance(results[n])} for n, score in scores.items()
            },
            prompts=len(prompts),
            score_version=SCORE_VERSION,
            device=describe_device(),
        )
        _write_rows(results, run.folder / "videos.parquet")
        run.outputs.update(
            rows=run.folder / "videos.parquet",
            videos=run.folder / "videos",
            sampling={m.name: asdict(m) | {"description": m.description} for m in models},
        )
        for model in models:
            _record_scores(run.lake, model, scores[model.name])
    return run.result_path


def _record_scores(lake: Lake, model: Sampling, found: ModelScore) -> None:
    """Writes the scores into the row of the table ``models`` whose folder was evaluated, if there is one."""
    for row in lake.read("models").to_pylist():
        if row["path"] is not None and as_path(row["path"]) == origin(Path(model.folder)):
            summary = {part: asdict(getattr(found, part)) for part in ("total", "quality", "semantic")}
            lake.add_model(
                {**row, "scores": {**summary, "version": SCORE_VERSION, "sampling": model.description}}
            )


def acceptance(results: Sequence[VideoResult]) -> dict[str, float]:
    """For prompts of one object: the share of videos with each attribute right, and with all."""
    single = [r.right for r in results if "relation" not in r.right]
    names = ("color", "motion", "shape", "background", "count")
    return {
        **{name: float(np.mean([right[name] for right in single])) for name in names},
        "all": float(np.mean([all(right.values()) for right in single])),
    }


def _write_rows(results: Mapping[str, Sequence[VideoResult]], path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {
            "model": model,
            "index": row.index,
            "prompt": row.prompt,
            "seed": row.seed,
            "video": row.video,
            **row.values,
            **{f"right {name}": value for name, value in row.right.items()},
        }
        for model, videos in results.items()
        for row in videos
    ]
    columns = dict.fromkeys(name for row in rows for name in row)
    pq.write_table(pa.table({name: [row.get(name) for row in rows] for name in columns}), path)


def _quiet_ray_data() -> None:
    """The bar of `examine` is enough."""
    from ray.data import DataContext

    DataContext.get_current().enable_progress_bars = False
