"""Reading the cache of latents and text embeddings that ``encode`` writes, and sharing it out among workers.

A cache folder holds ``part-*.parquet``, ``cache.json`` and ``empty.npy``. Latents are float16 (T, C, h, w),
already scaled; text embeddings float16 (L, D); ``empty.npy`` is the embedding of the empty text.
"""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from hummingbird.core.errors import InputError
from hummingbird.core.files import AnyPath
from hummingbird.core.hashes import weights_hash
from hummingbird.core.scratch import local_copy, origin

if TYPE_CHECKING:
    from hummingbird.models.pipeline import TextToVideoPipeline

CACHE_VERSION = 3
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


class LatentCache:
    """Random access to a cache folder: row groups are decoded when needed, the last used ones kept in memory.

    Args:
        folder: the cache, of which a URI is copied to this machine.
        memory: bytes of decoded row groups to keep.

    Raises:
        InputError: the folder is no cache, or a cache of another version, or its parts do not hold what
            ``cache.json`` says.
    """

    def __init__(self, folder: AnyPath, memory: int = 2 << 30) -> None:
        if not (origin(folder) / "cache.json").is_file():
            raise InputError(f"{origin(folder)} is no cache of latents (no cache.json): run encode first")
        folder = local_copy(folder)
        about = folder / "cache.json"
        self.about: dict[str, Any] = json.loads(about.read_text(encoding="utf-8"))
        if self.about["schema_version"] != CACHE_VERSION:
            raise InputError(
                f"{about}: schema version {self.about['schema_version']}, this code reads "
                f"{CACHE_VERSION}; encode again"
            )
        self.shape: tuple[int, ...] = tuple(self.about["shape"])
        self.empty_text = torch.from_numpy(np.load(folder / "empty.npy").astype(np.float32))
        self._groups: list[tuple[Path, int]] = []
        starts = [0]
        for part in sorted(folder.glob("part-*.parquet")):
            metadata = pq.read_metadata(part)
            for group in range(metadata.num_row_groups):
                self._groups.append((part, group))
                starts.append(starts[-1] + metadata.row_group(group).num_rows)
        self._starts = np.array(starts)
        if len(self) != self.about["count"]:
            raise InputError(
                f"{folder}: {len(self)} samples, cache.json says {self.about['count']}; encode again"
            )
        if not len(self):
            raise InputError(f"{folder} holds no samples: the snapshot has no kept clips")
        self._memory, self._held = memory, 0
        self._decoded: OrderedDict[int, dict[str, np.ndarray[Any, Any]]] = OrderedDict()

    def __len__(self) -> int:
        return int(self._starts[-1])

    def load(self, indices: Sequence[int]) -> Batch:
        """A batch on the CPU.

        Returns:
            ``latents`` (B, C, T, h, w) float32, ``text`` (B, L, D) float32, ``fps`` (B,) float32, and ``captions``,
            B texts.

        Raises:
            IndexError: an index outside 0..len - 1.
        """
        rows = []
        for index in indices:
            if not 0 <= index < len(self):
                raise IndexError(f"sample {index} of {len(self)}")
            group = int(np.searchsorted(self._starts, index, side="right")) - 1
            decoded = self._group(group)
            rows.append({name: column[index - self._starts[group]] for name, column in decoded.items()})
        columns = {name: torch.from_numpy(np.stack([row[name] for row in rows])) for name in ARRAYS}
        latents = columns["latents"].float().permute(0, 2, 1, 3, 4).contiguous()
        captions = [str(row["captions"]) for row in rows]
        return {**columns, "latents": latents, "text": columns["text"].float(), "captions": captions}

    def _group(self, number: int) -> dict[str, np.ndarray[Any, Any]]:
        if number in self._decoded:
            self._decoded.move_to_end(number)
            return self._decoded[number]
        part, group = self._groups[number]
        table = pq.ParquetFile(part).read_row_group(group)
        decoded = {
            "latents": _arrays(table["latents"], self.shape, part),
            "text": _arrays(table["text"], tuple(self.empty_text.shape), part),
            "fps": table["fps"].to_numpy().astype(np.float32),
            "captions": table["caption"].to_numpy(),
        }
        self._decoded[number] = decoded
        self._held += _bytes(decoded)
        while self._held > self._memory and len(self._decoded) > 1:
            self._held -= _bytes(self._decoded.popitem(last=False)[1])
        return decoded


class Shard:
    """One worker's share of the samples: every ``world``-th, in a new order each epoch.

    What a step sees depends on seed, rank and step alone, so a resumed run sees what an unbroken one would.
    The shares of two workers have no sample in common.

    Raises:
        InputError: fewer samples than workers.
    """

    def __init__(self, count: int, rank: int, world: int, seed: int) -> None:
        if count < world:
            raise InputError(
                f"{count} samples cannot be shared among {world} workers: use fewer training.workers"
            )
        self._own = np.arange(rank, count, world)
        self._seed = (seed, rank)
        self._epoch = (-1, self._own)

    def indices(self, step: int, batch: int) -> list[int]:
        """The samples of a step, counted from 0."""
        size = len(self._own)
        return [int(self._order(at // size)[at % size]) for at in range(step * batch, (step + 1) * batch)]

    def _order(self, epoch: int) -> np.ndarray[Any, Any]:
        if self._epoch[0] != epoch:
            self._epoch = (epoch, np.random.default_rng((*self._seed, epoch)).permutation(self._own))
        return self._epoch[1]


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


def _bytes(decoded: dict[str, np.ndarray[Any, Any]]) -> int:
    return sum(column.nbytes for column in decoded.values())
