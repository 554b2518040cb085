import itertools
import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hummingbird.core.errors import InputError
from hummingbird.models.pipeline import load_pipeline
from hummingbird.training.data import Worker, cached_latents
from hummingbird.training.latent_cache import (
    CACHE_SCHEMA,
    CACHE_VERSION,
    Batch,
    LatentCache,
    encoder_hashes,
    finish_cache,
)
from hummingbird.training.latent_order import Shard


def test_samples_come_back_as_they_were_written(tmp_path: Path, write_cache: Callable[..., Path]) -> None:
    cache = LatentCache(write_cache(tmp_path / "cache"), memory=1)
    assert len(cache) == 12
    for order in ([0, 11, 5], [3, 3]):
        batch = cache.load(order)
        assert batch["latents"].shape == (len(order), 8, 4, 8, 8)
        assert batch["text"].shape == (len(order), 6, 16)
        clips = batch["fps"] - 8
        assert batch["captions"] == [f"clip {int(clip)}" for clip in clips]
        assert torch.allclose(batch["latents"].mean(dim=(1, 2, 3, 4)), clips / 8, atol=0.02)
    with pytest.raises(IndexError):
        cache.load([12])


def test_a_folder_that_is_no_whole_cache_is_refused(tmp_path: Path, write_cache: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match="run encode first"):
        LatentCache(tmp_path)
    folder = write_cache(tmp_path / "cache")
    about = json.loads((folder / "cache.json").read_text())
    (folder / "cache.json").write_text(json.dumps({**about, "schema_version": CACHE_VERSION + 1}))
    with pytest.raises(InputError, match="schema version"):
        LatentCache(folder)
    first, second = about["parts"]
    (folder / "cache.json").write_text(json.dumps({**about, "parts": [{**first, "count": 7}, second]}))
    with pytest.raises(InputError, match=r"6 samples, cache\.json says 7"):
        LatentCache(folder).load([0])
    (folder / "cache.json").write_text(json.dumps({**about, "parts": []}))
    with pytest.raises(InputError, match="holds no samples"):
        LatentCache(folder)
    other = [{"shape": [4, 8, 8, 4], "count": 12}]
    (folder / "cache.json").write_text(json.dumps({**about, "buckets": other}))
    with pytest.raises(InputError, match="not of shape"):
        LatentCache(folder).load([0])
    (folder / "cache.json").write_text(json.dumps(about))
    (folder / first["name"]).unlink()
    with pytest.raises(InputError, match=f"lacks {first['name']}, one of 1 parts"):
        LatentCache(folder)


def test_the_next_batch_is_read_while_a_step_runs(
    tmp_path: Path, write_cache: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_cache(tmp_path / "cache")
    other = LatentCache(folder)
    shard = Shard(other, rank=0, world=2, seed=1, batch_size=2)
    calls, ahead = itertools.count(1), threading.Event()
    load = LatentCache.load

    def noted(cache: LatentCache, indices: Sequence[int]) -> Batch:
        if cache is not other and next(calls) == 2:
            ahead.set()
        return load(cache, indices)

    monkeypatch.setattr(LatentCache, "load", noted)
    with cached_latents(folder, 2, 1, Worker(0, 2, torch.device("cpu"))) as read:
        for step in (0, 1, 5):  # a resumed run begins anywhere
            batch = read(step)
            assert batch["captions"] == other.load(shard.indices(step))["captions"]
            assert ahead.wait(30)  # before anybody asked for it


def cache_of(folder: Path, *counts: int, parts: int = 1) -> Path:
    """A cache with so many samples of each of several sizes: of bucket b frames of b + 1 by b + 1 latents."""
    folder.mkdir()
    shapes = [(2, 4, side, side) for side in range(1, len(counts) + 1)]
    names = {}
    for bucket, (count, shape) in enumerate(zip(counts, shapes, strict=True)):
        for part in range(parts):
            rows = [
                {
                    "clip_id": f"{bucket}-{number}",
                    "caption": f"{bucket}",
                    "fps": 8.0,
                    "latents": np.full(shape, bucket, np.float16).tobytes(),
                    "text": np.zeros((2, 3), np.float16).tobytes(),
                }
                for number in range(part, count, parts)
            ]
            names[f"part-{bucket}-{part}.parquet"] = len(rows), bucket
            table = pa.Table.from_pylist(rows, CACHE_SCHEMA)
            pq.write_table(table, folder / f"part-{bucket}-{part}.parquet")
    finish_cache(folder, {}, shapes, names, torch.zeros(2, 3))
    return folder


def test_workers_never_share_a_clip_and_see_all(tmp_path: Path) -> None:
    cache = LatentCache(cache_of(tmp_path / "cache", 23))
    shards = [Shard(cache, rank, world=3, seed=1, batch_size=2) for rank in range(3)]
    seen = [{i for step in range(8) for i in shard.indices(step)} for shard in shards]
    assert sum(len(share) for share in seen) == 23
    assert set.union(*seen) == set(range(23))


def test_an_epoch_holds_every_clip_once_in_a_new_order(tmp_path: Path) -> None:
    cache = LatentCache(cache_of(tmp_path / "cache", 20))
    shard = Shard(cache, rank=0, world=2, seed=1, batch_size=5)
    epochs = [shard.indices(2 * epoch) + shard.indices(2 * epoch + 1) for epoch in range(2)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(0, 20, 2))
    assert epochs[0] != epochs[1]
    again = Shard(cache, rank=0, world=2, seed=1, batch_size=5)
    assert again.indices(3) == shard.indices(3)  # no state but the step


def test_a_step_is_of_one_size_the_same_for_all_workers_and_every_size_has_its_share(tmp_path: Path) -> None:
    cache = LatentCache(cache_of(tmp_path / "cache", 24, 8, 1))
    shards = [Shard(cache, rank, world=2, seed=1, batch_size=2) for rank in range(2)]
    steps = []
    for step in range(16):
        batches = [cache.load(shard.indices(step)) for shard in shards]
        sizes = {(batch["latents"].shape[-1], *batch["captions"]) for batch in batches}
        assert sizes in ({(1, "0", "0")}, {(2, "1", "1")})  # one sample of the third size is too few for two
        steps.append(sizes.pop()[0])
    assert steps.count(1) == 12
    assert steps.count(2) == 4


def test_samples_of_the_most_frequent_size_load_together(tmp_path: Path) -> None:
    cache = LatentCache(cache_of(tmp_path / "cache", 1, 5, 2, parts=2))
    own = cache.samples_of_one_size()
    assert len(own) == 5
    assert set(cache.load(own)["captions"]) == {"1"}


def test_of_a_cache_that_memory_does_not_hold_parts_are_read_once_an_epoch(tmp_path: Path) -> None:
    cache = LatentCache(cache_of(tmp_path / "cache", 48, parts=12))
    cache.memory = 6 * cache.parts[0].bytes  # a window is three parts
    shards = [Shard(cache, rank, world=2, seed=1, batch_size=2) for rank in range(2)]
    for shard in shards:
        order = [i for step in range(12) for i in shard.indices(step)]
        assert len(set(order)) == 24
        windows = [{i // 4 for i in order[at : at + 6]} for at in range(0, 24, 6)]
        assert all(len(parts) == 3 for parts in windows)
        assert set.union(*windows) == set(range(12))
        assert order[:6] != sorted(order[:6])


def test_fewer_clips_than_workers_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="1 samples"):
        Shard(LatentCache(cache_of(tmp_path / "cache", 1)), rank=0, world=2, seed=0, batch_size=1)
    with pytest.raises(InputError, match=r"no size of samples .*2; there are \[1, 1\]"):
        Shard(LatentCache(cache_of(tmp_path / "sizes", 1, 1)), rank=0, world=2, seed=0, batch_size=1)


def test_encoders_are_the_same_wherever_they_are_stored_and_however_used(
    tiny_teacher: Path, tmp_path: Path
) -> None:
    pipeline = load_pipeline(tiny_teacher)
    before = encoder_hashes(pipeline)
    pipeline.encode_prompts(["a"])
    pipeline.save_pretrained(tmp_path / "again")
    again = load_pipeline(tmp_path / "again")
    assert encoder_hashes(pipeline) == encoder_hashes(again) == before
    with torch.no_grad():
        next(again.vae.parameters()).add_(1)
        next(again.text_encoder.parameters()).add_(1)
    other = encoder_hashes(again)
    assert all(other[key] != before[key] for key in before)
