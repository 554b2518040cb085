"""Curation: a folder of raw video to a snapshot of the table ``clips``.

Sources go through in batches, in order of their names. Of a batch, Ray Data reads, cuts and scores the clips;
the driver looks for copies and gives the verdicts that need no caption; Ray Data captions what is still kept;
one commit ends the batch. A batch is the unit of a restart: what is committed is not done again, and because
batches go in order and committed rows win, an interrupted run ends with the rows of an unbroken one.
"""

import hashlib
import json
import logging
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from hummingbird.config.cluster import connect
from hummingbird.config.section import InputError
from hummingbird.config.settings import Settings
from hummingbird.lake.lake import Lake
from hummingbird.lake.runs import open_run
from hummingbird.lake.schemas import CLIPS, QUARANTINE

from hummingbird_data.captions import CaptionSettings, CaptionStage
from hummingbird_data.clips import ClipSettings
from hummingbird_data.duplicates import CopyLimits, DuplicateIndex, HashStage
from hummingbird_data.model_files import folder_hash, licence, model_folder
from hummingbird_data.motion import MotionStage
from hummingbird_data.probe import Limits
from hummingbird_data.progress import Progress
from hummingbird_data.quality import QualityStage
from hummingbird_data.read import ReadStage
from hummingbird_data.shots import ShotSettings
from hummingbird_data.sources import Source, batches, find_sources
from hummingbird_data.stage import Row, Stage, add_stage, quiet_ray_data
from hummingbird_data.text import TextStage
from hummingbird_data.verdict import Thresholds, caption_problem, score_reasons, with_verdict

log = logging.getLogger(__name__)

# Settings that change how fast a run is, not what it makes.
_SPEED = {"source", "batch_files", "caption_batch", "quality_actors", "caption_actors", "model_gpus"}


def curate(settings: Settings) -> Path:
    """Curates ``curate.source``; returns the path of ``result.json``.

    Raises:
        InputError: no such folder, an empty one, a missing model, or an engine that is not installed.
    """
    sources = find_sources(settings.curate.source)
    plan = _Plan.make(settings)
    inputs = {"source": str(settings.curate.source), "models": plan.models}
    with open_run(settings, "curate", inputs=inputs) as run:
        connect(settings.ray)
        quiet_ray_data()
        log.info("captions: engine %s, model %s", settings.curate.caption_engine, plan.captions.name)
        started = time.monotonic()
        all_batches = list(batches(sources, settings.curate.batch_files, plan.key))
        with Progress(len(sources)) as progress:
            done = _CommittedBatches(run.lake, {source.uri for source in sources})
            index = done.index_of_others(plan)
            for batch_id, batch in all_batches:
                rows = done.rows(batch_id, batch)
                if rows is None:
                    clips, quarantined = _curate_batch(batch, plan, index, progress)
                    _commit(run.lake, batch_id, clips, quarantined)
                    progress.add(**_counts(clips), quarantined=len(quarantined))
                else:
                    clips, quarantined = rows
                    for row in clips:
                        if row["verdict"] == "kept":
                            index.add(row)
                    progress.add(len(batch), **_counts(clips), quarantined=len(quarantined))
        run.snapshot_id = run.lake.snapshot()
        run.outputs["snapshot_id"] = run.snapshot_id
        run.outputs["clips"] = "clips"
        counts = dict(progress.counts)
        run.metrics.update(
            sources=len(sources),
            batches=len(all_batches),
            kept=counts.pop("kept", 0),
            dropped=counts.pop("dropped", 0),
            quarantined=counts.pop("quarantined", 0),
            reasons=counts,
            caption_engine=settings.curate.caption_engine,
            seconds=round(time.monotonic() - started, 1),
        )
        return run.result_path


@dataclass(frozen=True)
class _Plan:
    """What the settings come to: stages, thresholds, and the key that names their results."""

    storage: Path
    scoring: tuple[Stage, ...]
    thresholds: Thresholds
    captions: CaptionSettings
    settings: Settings
    models: dict[str, str]
    licences: str
    key: str

    @classmethod
    def make(cls, settings: Settings) -> "_Plan":
        s = settings.curate
        quality, captioner = model_folder(settings.models.quality), model_folder(settings.models.captioner)
        models = {"quality": folder_hash(quality), "captioner": folder_hash(captioner)}
        changing = {name: value for name, value in s.model_dump(mode="json").items() if name not in _SPEED}
        text = json.dumps({"settings": changing, "models": models}, sort_keys=True)
        reading = ReadStage(
            limits=Limits(s.max_megabytes, s.max_source_seconds, s.max_pixels, s.max_frames),
            shots=ShotSettings(ratio=s.shot_ratio, content=s.shot_content),
            clips=ClipSettings(s.min_seconds, s.max_seconds, s.short_side),
            seconds=s.read_seconds,
            megabytes=s.read_megabytes,
        )
        return cls(
            storage=settings.storage,
            scoring=(
                reading,
                MotionStage(),
                TextStage(),
                HashStage(),
                QualityStage(model=quality, actors=s.quality_actors, gpus=s.model_gpus),
            ),
            thresholds=Thresholds(
                min_seconds=s.min_seconds,
                min_technical=_technical_threshold(s.min_technical, quality),
                min_motion=s.min_motion,
                max_freeze=s.max_freeze,
                max_zoom=s.max_zoom,
                max_flicker=s.max_flicker,
                max_text=s.max_text,
            ),
            captions=CaptionSettings(
                model=captioner,
                name=f"{settings.models.captioner}@{models['captioner'][:12]}",
                frames=s.caption_frames,
                prompt=s.caption_prompt,
                prompt_version=s.caption_prompt_version,
                max_tokens=s.caption_tokens,
            ),
            settings=settings,
            models=models,
            licences=f"quality: {licence(quality)}; captioner: {licence(captioner)}",
            key=hashlib.sha256(text.encode()).hexdigest(),
        )


def _technical_threshold(given: float | None, quality: Path) -> float:
    if given is not None:
        return given
    threshold = json.loads((quality / "config.json").read_text(encoding="utf-8")).get("threshold")
    if threshold is None:
        raise InputError(f"the quality model in {quality} has no threshold: set curate.min_technical")
    return float(threshold)


class _CommittedBatches:
    """What the table held when the run began."""

    def __init__(self, lake: Lake, uris: set[str]) -> None:
        self._clips: dict[str, list[Row]] = defaultdict(list)
        self._others: list[Row] = []
        self._batch: dict[str, str] = {}
        self._quarantine: dict[str, Row] = {}
        for row in lake.read("clips").to_pylist():
            if row["source_uri"] in uris:
                self._clips[row["source_uri"]].append(row)
                self._batch[row["source_uri"]] = row["batch_id"]
            elif row["verdict"] == "kept":
                self._others.append(row)
        for row in lake.read("quarantine").to_pylist():
            self._quarantine[row["source_uri"]] = row
            self._batch[row["source_uri"]] = row["batch_id"]

    def index_of_others(self, plan: "_Plan") -> DuplicateIndex:
        """The kept clips of sources that are not part of this run: they win over everything in it."""
        s = plan.settings.curate
        limits = CopyLimits(s.copy_luma, s.copy_colour, s.copy_likeness)
        index = DuplicateIndex(limits, plan.storage)
        for row in sorted(self._others, key=_order):
            index.add(row)
        return index

    def rows(self, batch_id: str, batch: list[Source]) -> tuple[list[Row], list[Row]] | None:
        """Clips and quarantine rows of a batch that is committed, or None."""
        if any(self._batch.get(source.uri) != batch_id for source in batch):
            return None
        clips = [row for source in batch for row in self._clips[source.uri]]
        failed = [self._quarantine[source.uri] for source in batch if source.uri in self._quarantine]
        return sorted(clips, key=_order), failed


def _curate_batch(
    batch: list[Source], plan: _Plan, index: DuplicateIndex, progress: Progress
) -> tuple[list[Row], list[Row]]:
    """Rows of clips, in order, and rows of quarantine; each source of the batch is in exactly one."""
    progress.step("score")
    scored = _score(batch, plan, progress)
    clips: list[Row] = []
    failures: dict[str, Row] = {}
    for uri, rows in scored.items():
        failed = next((row for row in rows if row.get("error")), None)
        if failed is not None:
            failures[uri] = _failure(failed)
        else:
            clips += rows
    judged = []
    for row in sorted(clips, key=_order):
        reasons = score_reasons(row, plan.thresholds)
        if index.find(row) is not None:
            reasons.append("duplicate")
        if not reasons:
            index.add(row)
        judged.append(with_verdict(row, reasons))
    progress.step("caption")
    captions = _caption([row for row in judged if row["verdict"] == "kept"], plan)
    done = []
    for row in judged:
        caption = captions.get(row["clip_id"])
        if caption is not None and caption.get("error"):
            failures.setdefault(row["source_uri"], _failure({**row, **caption}))
        elif caption is not None:
            problem = caption_problem(caption["caption"])
            done.append(with_verdict({**row, **caption}, ["low_caption"] if problem else []))
        else:
            done.append({**row, "caption": row["caption_original"]})
    kept_whole = [row for row in done if row["source_uri"] not in failures]
    return [{**row, "models_licence": plan.licences} for row in kept_whole], list(failures.values())


def _score(batch: list[Source], plan: _Plan, progress: Progress) -> dict[str, list[Row]]:
    """The scored rows of each source."""
    import ray.data

    rows = [
        {"source_uri": source.uri, "storage": str(plan.storage), "caption_original": source.caption}
        for source in batch
    ]
    dataset: ray.data.Dataset = ray.data.from_items(rows, override_num_blocks=len(rows))
    for stage in plan.scoring:
        dataset = add_stage(dataset, stage)
    found: dict[str, list[Row]] = defaultdict(list)
    for row in dataset.iter_rows():
        progress.add(files=0 if row["source_uri"] in found else 1)
        found[row["source_uri"]].append(row)
    missing = [source.uri for source in batch if source.uri not in found]
    if missing:
        raise RuntimeError(f"{len(missing)} sources gave no row, the first is {missing[0]}")
    return found


def _caption(rows: list[Row], plan: _Plan) -> dict[str, Row]:
    """Captions by ``clip_id``: rows with the columns of a caption, or with an error."""
    if not rows:
        return {}
    import ray.data

    s = plan.settings.curate
    items = [
        {"clip_id": r["clip_id"], "media_path": r["media_path"], "storage": str(plan.storage)} for r in rows
    ]
    dataset: ray.data.Dataset = ray.data.from_items(
        items, override_num_blocks=max(1, -(-len(items) // s.caption_batch))
    )
    if s.caption_engine == "vllm":
        from hummingbird_data.captions_vllm import add_vllm_captions

        dataset = add_vllm_captions(dataset, plan.captions, s.caption_actors, s.model_gpus, s.caption_batch)
    else:
        stage = CaptionStage(
            settings=plan.captions, actors=s.caption_actors, gpus=s.model_gpus, batch_rows=s.caption_batch
        )
        dataset = add_stage(dataset, stage)
    captions = {row["clip_id"]: row for row in dataset.iter_rows()}
    if len(captions) != len(rows):
        raise RuntimeError(f"{len(rows)} clips went to the captioner, {len(captions)} came back")
    return captions


def _commit(lake: Lake, batch_id: str, clips: list[Row], quarantined: list[Row]) -> None:
    lake.commit_batch(
        batch_id,
        _table(clips, CLIPS, batch_id) if clips else None,
        _table(quarantined, QUARANTINE, batch_id) if quarantined else None,
    )


def _table(rows: list[Row], schema: pa.Schema, batch_id: str) -> pa.Table:
    full = [{name: row.get(name) for name in schema.names} | {"batch_id": batch_id} for row in rows]
    return pa.Table.from_pylist(full, schema=schema)


def _failure(row: Row) -> Row:
    return {"source_uri": row["source_uri"], "stage": row["error_stage"], "error": row["error"]}


def _order(row: Row) -> tuple[str, float]:
    """The key of a clip: of near copies the one with the smallest is kept."""
    return row["source_uri"], row["start_seconds"]


def _counts(clips: Iterable[Row]) -> dict[str, int]:
    counts: dict[str, Any] = {"kept": 0, "dropped": 0}
    for row in clips:
        counts[row["verdict"]] += 1
        for reason in row["reasons"]:
            counts[reason] = counts.get(reason, 0) + 1
    return counts
