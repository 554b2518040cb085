import itertools
import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from hummingbird.core.errors import InputError
from hummingbird.models.pipeline import load_pipeline
from hummingbird.training.data import Worker, cached_latents
from hummingbird.training.latent_cache import (
    CACHE_VERSION,
    Batch,
    LatentCache,
    Shard,
    encoder_hashes,
)


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
    (folder / "cache.json").write_text(json.dumps({**about, "count": 13}))
    with pytest.raises(InputError, match="12 samples"):
        LatentCache(folder)
    (folder / "cache.json").write_text(json.dumps({**about, "shape": [4, 8, 8, 4]}))
    with pytest.raises(InputError, match="not of shape"):
        LatentCache(folder).load([0])


def test_the_next_batch_is_read_while_a_step_runs(
    tmp_path: Path, write_cache: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_cache(tmp_path / "cache")
    shard, other = Shard(12, rank=0, world=2, seed=1), LatentCache(folder)
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
            assert batch["captions"] == other.load(shard.indices(step, 2))["captions"]
            assert ahead.wait(30)  # before anybody asked for it


def test_workers_never_share_a_clip_and_see_all() -> None:
    shards = [Shard(count=23, rank=rank, world=3, seed=1) for rank in range(3)]
    seen = [{i for step in range(8) for i in shard.indices(step, 2)} for shard in shards]
    assert sum(len(share) for share in seen) == 23
    assert set.union(*seen) == set(range(23))


def test_an_epoch_holds_every_clip_once_in_a_new_order() -> None:
    shard = Shard(count=20, rank=0, world=2, seed=1)
    epochs = [shard.indices(2 * epoch, 5) + shard.indices(2 * epoch + 1, 5) for epoch in range(2)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(0, 20, 2))
    assert epochs[0] != epochs[1]
    assert Shard(count=20, rank=0, world=2, seed=1).indices(3, 5) == shard.indices(
        3, 5
    )  # no state but the step


def test_fewer_clips_than_workers_is_an_error() -> None:
    with pytest.raises(InputError, match="1 samples"):
        Shard(count=1, rank=0, world=2, seed=0)


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
