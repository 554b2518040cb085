"""Encoding: the kept clips of one snapshot to a cache of latents and text embeddings for training.

The cache is keyed by the snapshot, the autoencoder, the text encoder and the way frames are sampled. It is
written in parts; a restart makes only the parts that are missing, and ``cache.json`` comes last.
"""

import hashlib
import json
import logging
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from hummingbird.config.cluster import connect
from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.core.files import AnyPath, write_atomically
from hummingbird.core.model_references import pipeline_folder
from hummingbird.core.progress import ProgressBar
from hummingbird.core.shared_folder import SharedFolder
from hummingbird.lake.lake import Lake
from hummingbird.lake.runs import open_run
from hummingbird.models.pipeline import TextToVideoPipeline, load_pipeline
from hummingbird.training.latent_cache import CACHE_VERSION, encoder_hashes

from hummingbird_data.latents.latent_parts import LatentStage
from hummingbird_data.runtime.model_files import actors_for
from hummingbird_data.stage import Row, add_stages, quiet_ray_data

log = logging.getLogger(__name__)


def encode(settings: Settings) -> Path:
    """Encodes ``encode.snapshot``; returns the path of ``result.json``, whose outputs name the cache.

    Raises:
        InputError: no lake, no such snapshot, no kept clip with a caption in it, or no pipeline.
    """
    s = settings.encode
    lake = Lake.open(settings, create=False)
    snapshot = s.snapshot if s.snapshot is not None else lake.snapshot()
    pipeline = _load_pipeline(settings.models.teacher)
    hashes = encoder_hashes(pipeline)
    frames = {"num_frames": s.num_frames, "size": s.size, "fps": s.fps}
    about = {"schema_version": CACHE_VERSION, "snapshot_id": snapshot, **hashes, **frames}
    key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]
    folder = settings.storage / "cache" / key
    with open_run(settings, "encode", inputs=hashes, snapshot_id=snapshot) as run:
        columns = ["clip_id", "caption", "media_path"]
        kept = lake.read("clips", "verdict = 'kept'", snapshot, columns).sort_by("clip_id").to_pylist()
        clips = [clip for clip in kept if (clip["caption"] or "").strip()]
        if not kept:
            raise InputError(f"snapshot {snapshot} holds no kept clip: nothing to encode")
        if not clips:
            raise InputError(
                f"none of the {len(kept)} kept clips of snapshot {snapshot} has a caption: curate them with a "
                "captioner (models.captioner), or give the files captions"
            )
        if len(clips) < len(kept):
            log.warning(
                "%d of %d kept clips have no caption and are left out", len(kept) - len(clips), len(kept)
            )
        if not (folder / "cache.json").is_file():
            _make_parts(settings, folder, clips)
            _finish(settings, pipeline, folder, about, len(clips))
        run.outputs["cache"] = str(folder)
        run.metrics.update(clips=len(clips), without_caption=len(kept) - len(clips))
        return run.result_path


def _load_pipeline(name: str) -> TextToVideoPipeline:
    try:
        return load_pipeline(name)
    except FileNotFoundError as error:
        raise InputError(str(error)) from error


def _make_parts(settings: Settings, folder: AnyPath, clips: list[Row]) -> None:
    """Writes the parts that are missing."""
    import ray.data

    s = settings.encode
    folder.mkdir(parents=True, exist_ok=True)
    parts = [clips[at : at + s.part_clips] for at in range(0, len(clips), s.part_clips)]
    storage = str(settings.storage)
    missing: list[dict[str, Any]] = [
        {"part": number, "clips": part, "storage": storage}
        for number, part in enumerate(parts)
        if not _holds(folder / f"part-{number:05d}.parquet", part)
    ]
    names = {f"part-{number:05d}.parquet" for number in range(len(parts))}
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
        num_frames=s.num_frames,
        size=s.size,
        fps=s.fps,
        actors=actors_for(s.actors, pipeline_folder(settings.models.teacher), s.model_gpus),
        gpus=s.model_gpus,
        shared=shared,
    )
    dataset: ray.data.Dataset = ray.data.from_items(missing, override_num_blocks=len(missing))
    with ProgressBar(total=len(clips), initial=len(clips) - sum(len(m["clips"]) for m in missing), desc="encode",
              unit="clip", mininterval=1.0, dynamic_ncols=True) as bar:  # fmt: skip
        for row in add_stages(dataset, [stage]).iter_rows():
            if row.get("error"):
                raise RuntimeError(f"part {row['part']} of the cache: {row['error']}")
            bar.update(row["count"])


def _holds(path: AnyPath, clips: list[Row]) -> bool:
    """Whether a part is there and holds these clips with these captions."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        found = pq.read_table(file, columns=["clip_id", "caption"]).to_pylist()
    return found == [{"clip_id": clip["clip_id"], "caption": clip["caption"]} for clip in clips]


def _finish(
    settings: Settings, pipeline: TextToVideoPipeline, folder: AnyPath, about: dict[str, Any], count: int
) -> None:
    """The embedding of the empty text, then ``cache.json``."""
    buffer = BytesIO()
    np.save(buffer, pipeline.encode_prompts([""])[0].numpy().astype(np.float16))
    write_atomically(folder / "empty.npy", buffer.getvalue())
    side = pipeline.latent_size * settings.encode.size // pipeline.vae.config.sample_size
    shape = [settings.encode.num_frames, pipeline.vae.config.latent_channels, side, side]
    document = {**about, "shape": shape, "count": count}
    write_atomically(folder / "cache.json", (json.dumps(document, indent=2) + "\n").encode())
