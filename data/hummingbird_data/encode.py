"""Encoding: the kept clips of one snapshot to a cache of latents and text embeddings for training.

The cache is keyed by the snapshot, the autoencoder, the text encoder and the way frames are sampled. It is
written in parts; a restart makes only the parts that are missing, and ``cache.json`` comes last.
"""

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from hummingbird.config.cluster import connect
from hummingbird.config.encode import EncodeSettings
from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.core.files import AnyPath
from hummingbird.core.model_references import pipeline_folder
from hummingbird.core.progress import ProgressBar
from hummingbird.core.shared_folder import SharedFolder
from hummingbird.lake.lake import Lake
from hummingbird.lake.runs import Run, open_run
from hummingbird.models.pipeline import TextToVideoPipeline, load_pipeline
from hummingbird.training.latent_cache import CACHE_VERSION, LatentCache, encoder_hashes, finish_cache

from hummingbird_data.latents.buckets import Bucket, Length, buckets_of, choose_bucket
from hummingbird_data.latents.latent_parts import LEFT_OUT, LatentStage
from hummingbird_data.runtime.model_files import actors_for
from hummingbird_data.stage import Row, add_stages, quiet_ray_data

log = logging.getLogger(__name__)

COLUMNS = ["clip_id", "caption", "media_path", "height", "width", "num_frames", "fps"]


@dataclass(frozen=True)
class PlannedPart:
    """A file of the cache: which of the buckets its samples are of, and the clips that they are made of."""

    name: str
    number: int
    bucket: int
    clips: list[Row]


def encode(settings: Settings) -> Path:
    """Encodes ``encode.snapshot``; returns the path of ``result.json``, whose outputs name the cache.

    Clips that are too short for the frames of a sample are left out and counted.

    Raises:
        InputError: no lake, no such snapshot, no kept clip in it that has a caption and is long enough, no pipeline, or
            a size that the pipeline cannot make.
    """
    s = settings.encode
    lake = Lake.open(settings, create=False)
    snapshot = s.snapshot if s.snapshot is not None else lake.snapshot()
    pipeline = _load_pipeline(settings.models.teacher)
    buckets, hashes = buckets_of(s, pipeline), encoder_hashes(pipeline)
    sampled = {
        "sizes": [[b.height, b.width, b.frames] for b in buckets],
        "fps": s.fps,
        "max_fps": s.max_fps,
    }
    if s.trigger is not None:
        sampled["trigger"] = s.trigger
    about = {"schema_version": CACHE_VERSION, "snapshot_id": snapshot, **hashes, **sampled}
    key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]
    folder = settings.storage / "cache" / key
    with open_run(settings, "encode", inputs={**hashes, **sampled}, snapshot_id=snapshot) as run:
        clips = _captioned_clips(lake, snapshot, run, s.trigger)
        used, chosen = _in_buckets(clips, buckets, s)
        if not (folder / "cache.json").is_file():
            parts = _planned_parts(chosen, s.part_clips)
            _make_parts(settings, folder, parts, used)
            shapes = [
                (b.frames, pipeline.family.latent_channels, *pipeline.latent_shape(b.height, b.width))
                for b in used
            ]
            counts = {part.name: (_count(folder / part.name), part.bucket) for part in parts}
            finish_cache(folder, about, shapes, counts, pipeline.encode_prompts([""])[0])
        cache = LatentCache(folder)
        short = len(clips) - len(cache)
        if short:
            log.warning("%d of %d clips are too short for %s and are left out", short, len(clips), _words(s))
        run.outputs["cache"] = str(folder)
        run.metrics.update(
            clips=len(cache),
            too_short=short,
            buckets=cache.about["buckets"],
            bytes=sum(part.bytes for part in cache.parts),
        )
        return run.result_path


def _load_pipeline(name: str) -> TextToVideoPipeline:
    try:
        return load_pipeline(name)
    except FileNotFoundError as error:
        raise InputError(str(error)) from error


def _captioned_clips(lake: Lake, snapshot: int | None, run: Run, trigger: str | None) -> list[Row]:
    kept = lake.read("clips", "verdict = 'kept'", snapshot, COLUMNS).sort_by("clip_id").to_pylist()
    if trigger is not None:
        kept = [{**clip, "caption": _with_trigger(trigger, clip["caption"])} for clip in kept]
    clips = [clip for clip in kept if (clip["caption"] or "").strip()]
    if not kept:
        raise InputError(f"snapshot {snapshot} holds no kept clip: nothing to encode")
    if not clips:
        raise InputError(
            f"none of the {len(kept)} kept clips of snapshot {snapshot} has a caption: curate them with a "
            "captioner (models.captioner), give the files captions, or a word to all (encode.trigger)"
        )
    if len(clips) < len(kept):
        log.warning("%d of %d kept clips have no caption and are left out", len(kept) - len(clips), len(kept))
    run.metrics["without_caption"] = len(kept) - len(clips)
    return clips


def _with_trigger(trigger: str, caption: str | None) -> str:
    return f"{trigger}, {caption}" if caption and caption.strip() else trigger


def _in_buckets(
    clips: Sequence[Row], buckets: Sequence[Bucket], settings: EncodeSettings
) -> tuple[list[Bucket], list[list[Row]]]:
    """The buckets that clips went to, and the clips of each, with the ``rate`` that they are sampled at.

    Raises:
        InputError: no clip is long enough.
    """
    chosen: dict[Bucket, list[Row]] = {bucket: [] for bucket in buckets}
    for clip in clips:
        length = Length(clip["num_frames"], clip["fps"])
        found = choose_bucket(clip["height"], clip["width"], length, buckets, settings.fps, settings.max_fps)
        if found is not None:
            bucket, rate = found
            chosen[bucket].append({name: clip[name] for name in COLUMNS[:3]} | {"rate": rate})
    used = [bucket for bucket in buckets if chosen[bucket]]
    if not used:
        longest = max(clip["num_frames"] / clip["fps"] for clip in clips)
        raise InputError(
            f"none of {len(clips)} clips lasts long enough for {_words(settings)}: the longest is {longest:.2f} s. "
            "Raise encode.max_fps, lower encode.num_frames, or curate longer clips (curate.max_seconds)"
        )
    return used, [chosen[bucket] for bucket in used]


def _words(settings: EncodeSettings) -> str:
    rate = f"{settings.fps:g}" if settings.max_fps is None else f"{settings.fps:g} to {settings.max_fps:g}"
    return f"{settings.num_frames} frames at {rate} a second"


def _planned_parts(chosen: Sequence[Sequence[Row]], size: int) -> list[PlannedPart]:
    pieces = [
        (bucket, list(clips[at : at + size]))
        for bucket, clips in enumerate(chosen)
        for at in range(0, len(clips), size)
    ]
    return [
        PlannedPart(f"part-{number:05d}.parquet", number, bucket, clips)
        for number, (bucket, clips) in enumerate(pieces)
    ]


def _make_parts(
    settings: Settings, folder: AnyPath, parts: Sequence[PlannedPart], buckets: Sequence[Bucket]
) -> None:
    """Writes the parts that are missing."""
    import ray.data

    s = settings.encode
    folder.mkdir(parents=True, exist_ok=True)
    missing: list[dict[str, Any]] = [
        {
            "part": part.number,
            "clips": part.clips,
            "storage": str(settings.storage),
            **asdict(buckets[part.bucket]),
        }
        for part in parts
        if not _holds(folder / part.name, part.clips)
    ]
    names = {part.name for part in parts}
    present: list[AnyPath] = [*folder.glob("part-*.parquet")]
    for path in present:
        if path.name not in names:
            path.unlink()  # from a run with smaller parts
    if not missing:
        return
    connect(settings.ray)
    quiet_ray_data()
    shared = SharedFolder.mark(settings.storage)
    if shared is not None:
        shared.check_nodes()
    log.info("encoding %d of %d parts into %s", len(missing), len(parts), folder)
    stage = LatentStage(
        pipeline=settings.models.teacher,
        folder=folder,
        actors=actors_for(s.actors, pipeline_folder(settings.models.teacher), s.model_gpus),
        gpus=s.model_gpus,
        shared=shared,
    )
    total = sum(len(part.clips) for part in parts)
    dataset: ray.data.Dataset = ray.data.from_items(missing, override_num_blocks=len(missing))
    with ProgressBar(total=total, initial=total - sum(len(m["clips"]) for m in missing), desc="encode",
              unit="clip", mininterval=1.0, dynamic_ncols=True) as bar:  # fmt: skip
        for row in add_stages(dataset, [stage]).iter_rows():
            if row.get("error"):
                raise RuntimeError(f"part {row['part']} of the cache: {row['error']}")
            bar.update(row["count"])


def _holds(path: AnyPath, clips: list[Row]) -> bool:
    """Whether a part is there and holds these clips with these captions and rates, but for those left out."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        table = pq.read_table(file, columns=["clip_id", "caption", "fps"])
    left_out = set(json.loads((table.schema.metadata or {}).get(LEFT_OUT, b"[]")))
    wanted = [
        {"clip_id": clip["clip_id"], "caption": clip["caption"], "fps": clip["rate"]}
        for clip in clips
        if clip["clip_id"] not in left_out
    ]
    return bool(table.to_pylist() == wanted)


def _count(path: AnyPath) -> int:
    with path.open("rb") as file:
        return int(pq.read_metadata(file).num_rows)
