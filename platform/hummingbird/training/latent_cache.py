"""The cache of latents and text embeddings that ``encode`` writes.

A cache folder holds ``part-*.parquet``, ``cache.json`` and ``empty.npy``. Latents are float16 (T, C, h, w),
already scaled; text embeddings float16 (L, D); ``empty.npy`` is the embedding of the empty text. All samples of a part
have one shape; ``cache.json`` lists shapes (``buckets``) and parts.
"""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from hummingbird.core.errors import InputError
from hummingbird.core.files import AnyPath, write_atomically
from hummingbird.core.hashes import weights_hash
from hummingbird.core.scratch import local_copy, origin

if TYPE_CHECKING:
    from hummingbird.models.pipeline import TextToVideoPipeline

CACHE_VERSION = 4
CACHE_SCHEMA = pa.schema(
    [
        ("clip_id", pa.string()),
        ("caption", pa.string()),
        ("fps", pa.float64()),
        ("latents", pa.binary()),
        ("text", pa.binary()),
    ]
)

Batch = dict[str, Any]
"""Tensors by name, a row a sample, and ``captions``, a list of texts."""

ARRAYS = ("latents", "text", "fps")


@dataclass(frozen=True)
class CachePart:
    """A file of a cache.

    Attributes:
        name: of the file.
        count: samples.
        bucket: which of the cache's shapes they have.
        bytes: of the samples in memory.
    """

    name: str
    count: int
    bucket: int
    bytes: int


def encoder_hashes(pipeline: "TextToVideoPipeline") -> dict[str, str]:
    """What a cache says of its autoencoder and its text encoder: the same wherever they are stored."""
    tokenizer = json.loads(pipeline.tokenizer.backend_tokenizer.to_str())
    for changes_with_use in ("truncation", "padding"):
        tokenizer.pop(changes_with_use, None)
    text = weights_hash(pipeline.text_encoder) + json.dumps(tokenizer, sort_keys=True)
    return {
        "vae_hash": weights_hash(pipeline.vae),
        "text_hash": hashlib.sha256(text.encode()).hexdigest(),
    }


def finish_cache(
    folder: AnyPath,
    about: Mapping[str, Any],
    shapes: Sequence[Sequence[int]],
    parts: Mapping[str, tuple[int, int]],
    empty_text: Tensor,
) -> None:
    """Writes what makes parts a cache: ``empty.npy``, then ``cache.json``.

    Args:
        about: what the cache was made of.
        shapes: (T, C, h, w) of the latents of each bucket.
        parts: by the name of a file its number of samples and their bucket, in the order of the samples.
        empty_text: the embedding (L, D) of the empty text.
    """
    buffer = BytesIO()
    np.save(buffer, empty_text.cpu().numpy().astype(np.float16))
    write_atomically(folder / "empty.npy", buffer.getvalue())
    counts = [sum(count for count, own in parts.values() if own == bucket) for bucket in range(len(shapes))]
    sizes = [2 * (int(np.prod(shape)) + empty_text.numel()) for shape in shapes]
    document = {
        **about,
        "schema_version": CACHE_VERSION,
        "count": sum(counts),
        "buckets": [
            {"shape": list(shape), "count": count} for shape, count in zip(shapes, counts, strict=True)
        ],
        "parts": [
            asdict(CachePart(name, count, bucket, count * sizes[bucket]))
            for name, (count, bucket) in parts.items()
        ],
    }
    write_atomically(folder / "cache.json", (json.dumps(document, indent=1) + "\n").encode())


class LatentCache:
    """Random access to a cache folder: parts are read when needed, the last used ones kept in memory.

    Args:
        folder: the cache. Of a URI, parts are copied to this machine one by one as they are needed, so that a cache
            may be larger than its disk.
        memory: bytes of parts to keep.

    Raises:
        InputError: the folder is no cache, a cache of another version, or an empty one, or a part is missing.
    """

    def __init__(self, folder: AnyPath, memory: int = 2 << 30) -> None:
        self._folder = origin(folder)
        about = self._folder / "cache.json"
        if not about.is_file():
            raise InputError(f"{self._folder} is no cache of latents (no cache.json): run encode first")
        self.about: dict[str, Any] = json.loads(local_copy(about).read_text(encoding="utf-8"))
        if self.about["schema_version"] != CACHE_VERSION:
            raise InputError(
                f"{about}: schema version {self.about['schema_version']}, this code reads "
                f"{CACHE_VERSION}; encode again"
            )
        self.shapes: list[tuple[int, ...]] = [tuple(bucket["shape"]) for bucket in self.about["buckets"]]
        self.parts = [CachePart(**part) for part in self.about["parts"]]
        self._starts = np.cumsum([0, *(part.count for part in self.parts)])
        if not len(self):
            raise InputError(f"{self._folder} holds no samples: the snapshot has no kept clips")
        if isinstance(self._folder, Path):
            gone = [part.name for part in self.parts if not (self._folder / part.name).is_file()]
            if gone:
                raise InputError(f"{self._folder} lacks {gone[0]}, one of {len(gone)} parts: encode again")
        empty = np.load(local_copy(self._folder / "empty.npy"))
        self.empty_text = torch.from_numpy(empty.astype(np.float32))
        self.memory, self._held = memory, 0
        self._decoded: OrderedDict[int, dict[str, np.ndarray[Any, Any]]] = OrderedDict()

    def __len__(self) -> int:
        return int(self._starts[-1])

    @property
    def channels(self) -> int:
        """Of the latents, whatever their size."""
        return self.shapes[0][1]

    def samples_of(self, part: int) -> range:
        """The numbers of the samples of a part."""
        return range(int(self._starts[part]), int(self._starts[part + 1]))

    def samples_of_one_size(self) -> list[int]:
        """The numbers of all samples of the most frequent size, which can be loaded together."""
        counts = [bucket["count"] for bucket in self.about["buckets"]]
        most = counts.index(max(counts))
        own = (self.samples_of(number) for number, part in enumerate(self.parts) if part.bucket == most)
        return [sample for samples in own for sample in samples]

    def load(self, indices: Sequence[int]) -> Batch:
        """A batch on the CPU.

        Returns:
            ``latents`` (B, C, T, h, w) float32, ``text`` (B, L, D) float32, ``fps`` (B,) float32, and ``captions``,
            B texts.

        Raises:
            IndexError: an index outside 0..len - 1.
            ValueError: samples of several buckets, which are of several shapes.
        """
        rows = []
        for index in indices:
            if not 0 <= index < len(self):
                raise IndexError(f"sample {index} of {len(self)}")
            part = int(np.searchsorted(self._starts, index, side="right")) - 1
            decoded = self._part(part)
            rows.append({name: column[index - self._starts[part]] for name, column in decoded.items()})
        columns = {name: torch.from_numpy(np.stack([row[name] for row in rows])) for name in ARRAYS}
        latents = columns["latents"].float().permute(0, 2, 1, 3, 4).contiguous()
        captions = [str(row["captions"]) for row in rows]
        return {**columns, "latents": latents, "text": columns["text"].float(), "captions": captions}

    def _part(self, number: int) -> dict[str, np.ndarray[Any, Any]]:
        if number in self._decoded:
            self._decoded.move_to_end(number)
            return self._decoded[number]
        part = self.parts[number]
        path = local_copy(self._folder / part.name, unchanging=True)
        table = pq.read_table(path)
        if len(table) != part.count:
            raise InputError(f"{path}: {len(table)} samples, cache.json says {part.count}; encode again")
        decoded = {
            "latents": _arrays(table["latents"], self.shapes[part.bucket], path),
            "text": _arrays(table["text"], tuple(self.empty_text.shape), path),
            "fps": table["fps"].to_numpy().astype(np.float32),
            "captions": table["caption"].to_numpy(),
        }
        self._decoded[number] = decoded
        self._held += part.bytes
        while self._held > self.memory and len(self._decoded) > 1:
            gone, _ = self._decoded.popitem(last=False)
            self._held -= self.parts[gone].bytes
        return decoded


def to_device(batch: Batch, device: torch.device) -> Batch:
    """The batch on a device, where a GPU need not be waited for if its memory is pinned."""
    return {
        name: rows.to(device, non_blocking=True) if isinstance(rows, Tensor) else rows
        for name, rows in batch.items()
    }


def _arrays(column: pa.ChunkedArray, shape: tuple[int, ...], part: Path) -> np.ndarray[Any, Any]:
    try:
        return np.stack([np.frombuffer(value.as_buffer(), np.float16).reshape(shape) for value in column])
    except ValueError as error:
        raise InputError(f"{part}: a sample is not of shape {shape}: {error}; encode again") from error
