"""Shards answer as one index does, and a lost actor costs none of them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import ray
from hummingbird.models.video import write_mp4
from hummingbird_data.copies.duplicate_index import DuplicateIndex
from hummingbird_data.copies.duplicates import CopyLimits, perceptual_hash
from hummingbird_data.copies.embedding import embedding
from hummingbird_data.copies.index_shards import IndexShards
from hummingbird_data.stage import Row


@pytest.fixture
def rows(shot: Callable[..., np.ndarray], tmp_path: Path) -> list[Row]:
    """Six clips, each with two near copies, and one with an exact one."""
    made = []
    for number in range(6):
        frames = shot(number, seconds=2, fps=6)
        for crop in (0, 2, 3):
            cut = frames[:, crop : frames.shape[1] - crop, crop : frames.shape[2] - crop]
            copy = np.stack([cv2.resize(frame, (192, 144), interpolation=cv2.INTER_AREA) for frame in cut])
            made.append(_row(f"clip{number}-{crop}", copy, tmp_path))
    made.append({**made[3], "clip_id": "exact", "source_uri": "/zz.mp4"})
    return made


@pytest.fixture
def shards(rows: list[Row], tmp_path: Path, ray_cluster: None) -> Iterator[IndexShards]:
    with IndexShards(CopyLimits(), tmp_path, 3, lambda: rows) as made:
        yield made


def test_answers_are_those_of_one_index(rows: list[Row], shards: IndexShards, tmp_path: Path) -> None:
    with DuplicateIndex(CopyLimits(), tmp_path) as one:
        one.add(rows)
        expected = one.first_copies(rows)
        assert sum(match is not None for match in expected) == len(rows)
        assert shards.first_copies(rows) == expected
        gone = {match.clip_id for match in expected if match is not None}
        assert shards.first_copies(rows, gone) == one.first_copies(rows, gone)
        shards.remove(gone)
        one.remove(gone)
        assert shards.first_copies(rows) == one.first_copies(rows) != expected


def test_a_lost_actor_is_filled_again(rows: list[Row], shards: IndexShards) -> None:
    expected = shards.first_copies(rows)
    ray.kill(shards._actors[1])
    assert shards.first_copies(rows) == expected


def _row(name: str, frames: np.ndarray, storage: Path) -> Row:
    path = f"{name}.mp4"
    write_mp4(frames, 6, storage / path)
    return {
        "media_path": path, "clip_id": name, "source_uri": f"/{name}.mp4", "start_seconds": 0.0, "shot_index": 0,
        "content_hash": name, "perceptual_hash": perceptual_hash(frames), "embedding": embedding(frames),
    }  # fmt: skip
