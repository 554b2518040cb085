"""One part of the cache: clips and captions to latents and text embeddings, as a Parquet file."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hummingbird.core.files import AnyPath, write_atomically
from hummingbird.core.shared_folder import SharedFolder
from hummingbird.training.latent_cache import CACHE_SCHEMA

from hummingbird_data.latents.buckets import Bucket
from hummingbird_data.latents.samples import training_frames
from hummingbird_data.reading.clip_frames import clip_frames, lasts
from hummingbird_data.stage import Row, Stage

LEFT_OUT = b"hummingbird.left_out"
"""Of a part's file: the clips, as JSON, that were found too short when they were read."""


@dataclass
class LatentStage(Stage):
    """``pipeline`` is the folder whose autoencoder and text encoder are used; parts go to ``folder``.

    The input ``clips`` is a list of rows with ``clip_id``, ``caption``, ``media_path`` and ``rate``, all for samples of
    one ``height``, ``width`` and number of ``frames``.
    """

    name: ClassVar[str] = "latents"
    inputs: ClassVar[tuple[str, ...]] = ("part", "clips", "storage", "height", "width", "frames")
    outputs: ClassVar[tuple[str, ...]] = ("count",)
    pipeline: str
    folder: AnyPath
    actors: int = 0
    gpus: float = 0.0
    shared: SharedFolder | None = None  # the storage, where it is a folder that nodes must share
    _pipeline: Any = field(default=None, init=False, repr=False)

    def setup(self) -> None:
        if self.shared is not None:
            self.shared.check()
        import torch
        from hummingbird.models.pipeline import load_pipeline

        torch.set_num_threads(1)  # the cluster's cores are shared out by Ray
        self._pipeline = load_pipeline(self.pipeline).to("cuda" if self.gpus else "cpu")

    def process(self, row: Row) -> Iterable[Row]:
        bucket = Bucket(row["height"], row["width"], row["frames"])
        texts = [clip["caption"] for clip in row["clips"]]
        embedded = self._pipeline.encode_prompts(texts)
        samples, left_out = [], []
        for index, clip in enumerate(row["clips"]):
            frames, fps = clip_frames({"storage": row["storage"], "media_path": clip["media_path"]})
            if not lasts(len(frames), fps, clip["rate"], bucket.frames):  # fewer than its row says
                left_out.append(clip["clip_id"])
                continue
            chosen = training_frames(frames, fps, clip["rate"], bucket.frames, bucket.height, bucket.width)
            samples.append(
                {
                    "clip_id": clip["clip_id"],
                    "caption": clip["caption"],
                    "fps": clip["rate"],
                    "latents": _half(self._pipeline.encode_frames(chosen)).tobytes(),
                    "text": _half(embedded[index]).tobytes(),
                }
            )
        buffer = BytesIO()
        table = pa.Table.from_pylist(samples, schema=CACHE_SCHEMA)
        pq.write_table(table.replace_schema_metadata({LEFT_OUT: json.dumps(left_out)}), buffer)
        write_atomically(self.folder / f"part-{row['part']:05d}.parquet", buffer.getvalue())
        return [{"count": len(row["clips"])}]


def _half(values: Any) -> np.ndarray[Any, np.dtype[np.float16]]:
    """float16 in C order, the cache's format. Raises ValueError where float16 cannot hold a value."""
    result = np.ascontiguousarray(values.detach().cpu().numpy().astype(np.float16))
    if not np.isfinite(result).all():
        raise ValueError("values beyond float16: is this the right autoencoder?")
    return result
