"""A cache of latents of clips drawn by the small world's generator: training data without a lake.

Its clips come from seeds of their own, so they are none that pretraining drew; their captions are true.
"""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from hummingbird.core.parallel import ParallelMap
from hummingbird.core.progress import ProgressBar
from hummingbird.models.pipeline import TextToVideoPipeline
from hummingbird.shapes.scene import FPS, draw_clip
from hummingbird.training.latent_cache import CACHE_SCHEMA, CACHE_VERSION, encoder_hashes, finish_cache

STREAM = 1009  # beside the seed: a stream of random numbers that nothing else of this project draws from
CHUNK = 32  # clips drawn at once


def draw_cache(
    pipeline: TextToVideoPipeline, folder: Path, seed: int, count: int, parallel: ParallelMap
) -> Path:
    """Draws ``count`` clips and encodes them, unless ``folder`` holds them already; returns ``folder``.

    Args:
        pipeline: its autoencoder and text encoder make the cache, on the device they are on.
        parallel: draws; the processes of `hummingbird.core.parallel`, or ``map``.
    """
    about = {
        "schema_version": CACHE_VERSION,
        "snapshot_id": None,
        **encoder_hashes(pipeline),
        "drawn": {"seed": seed, "stream": STREAM},
        "fps": FPS,
        "count": count,
    }
    path = folder / "cache.json"
    if path.is_file():
        stored = json.loads(path.read_text(encoding="utf-8"))
        if {name: stored.get(name) for name in about} == about:
            return folder
        path.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    chunks = [range(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK)]
    shape: list[int] = []
    with ProgressBar(total=count, desc="draw and encode", unit="clip") as bar:
        for number, (frames, captions) in enumerate(parallel(partial(draw_captioned_clips, seed), chunks)):
            rows, shape = _rows(pipeline, chunks[number], frames, captions)
            pq.write_table(pa.Table.from_pylist(rows, CACHE_SCHEMA), folder / f"part-{number:05d}.parquet")
            bar.update(len(rows))
    for surplus in sorted(folder.glob("part-*.parquet"))[len(chunks) :]:
        surplus.unlink()
    parts = {f"part-{number:05d}.parquet": (len(chunk), 0) for number, chunk in enumerate(chunks)}
    finish_cache(folder, about, [shape], parts, pipeline.encode_prompts([""])[0])
    return folder


def draw_captioned_clips(seed: int, numbers: Sequence[int]) -> tuple[NDArray[np.uint8], list[str]]:
    """Frames (N, T, H, W, 3) and captions of the clips of these numbers."""
    drawn = (draw_clip(np.random.default_rng((seed, STREAM, number))) for number in numbers)
    clips, captions = zip(*drawn, strict=True)
    return np.stack(clips), list(captions)


def _rows(
    pipeline: TextToVideoPipeline, numbers: Sequence[int], frames: NDArray[np.uint8], captions: Sequence[str]
) -> tuple[list[dict[str, Any]], list[int]]:
    latents = pipeline.encode_frames(frames.reshape(-1, *frames.shape[2:])).half().cpu().numpy()
    latents = latents.reshape(*frames.shape[:2], *latents.shape[1:])
    text = pipeline.encode_prompts(captions).half().cpu().numpy()
    rows = [
        {
            "clip_id": f"drawn-{number}",
            "caption": captions[at],
            "fps": float(FPS),
            "latents": latents[at].tobytes(),
            "text": text[at].tobytes(),
        }
        for at, number in enumerate(numbers)
    ]
    return rows, list(latents.shape[1:])
