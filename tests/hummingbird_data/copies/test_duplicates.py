"""Copies are found whatever was done to them, and clips of one world are not taken for copies."""

import base64
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest
from hummingbird.shapes import defects
from hummingbird.shapes.scene import render, sample_scene, sample_texture
from hummingbird_data.copies import duplicate_index
from hummingbird_data.copies.duplicate_index import DuplicateIndex
from hummingbird_data.copies.duplicates import CopyLimits, near, perceptual_hash
from hummingbird_data.copies.embedding import SIZE, embedding
from hummingbird_data.copies.likeness import likeness, thumbnails
from hummingbird_data.stage import Row

PICTURES: dict[str, np.ndarray] = {}


@pytest.fixture(autouse=True)
def pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clips are read from memory instead of from files."""
    monkeypatch.setattr(duplicate_index, "clip_frames", lambda row: (PICTURES[row["media_path"]], 24.0))


def index() -> DuplicateIndex:
    return DuplicateIndex(CopyLimits(), Path())


def row(name: str, frames: np.ndarray, **changes: object) -> Row:
    PICTURES[name] = frames
    return {
        "media_path": name,
        "clip_id": name,
        "source_uri": f"/{name}.mp4",
        "start_seconds": 0.0,
        "shot_index": 0,
        "content_hash": name,
        "perceptual_hash": perceptual_hash(frames),
        "embedding": embedding(frames),
        **changes,
    }


def original(known: DuplicateIndex, row: Row) -> str | None:
    """The clip that a row copies."""
    [match] = known.first_copies([row])
    return None if match is None else match.clip_id


def near_copy(frames: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0)
    cropped = frames[:, 2:-2, 2:-2]
    copies = np.stack([cv2.resize(frame, (192, 144), interpolation=cv2.INTER_AREA) for frame in cropped])
    return np.clip(copies * 1.04 + noise.normal(3, 2, copies.shape), 0, 255).astype(np.uint8)


def test_near_copies_are_found_and_other_clips_are_not(shot: Callable) -> None:
    known = index()
    for number in range(16):
        frames = shot(number, seconds=2, fps=12)
        made = row(f"clip{number}", frames)
        assert original(known, made) is None, number
        known.add([made])
        assert original(known, row(f"copy{number}", near_copy(frames))) == f"clip{number}"


def test_a_copy_is_found_whose_crop_turned_the_bits_of_a_regular_background() -> None:
    rng = np.random.default_rng(19)
    scene = replace(sample_scene(rng, 2, motion="growing"), texture=sample_texture(rng, "dotted"))
    frames = render(scene, np.arange(0, 2, 1 / 12), 144, 256)
    first, copy = row("original", frames), row("copy", defects.near_copy(frames, rng))
    assert not near(first["perceptual_hash"], [copy["perceptual_hash"]], CopyLimits())[0]
    known = index()
    known.add([first])
    assert original(known, copy) == "original"


def test_clips_of_the_same_things_at_other_places_are_less_alike_than_copies(shot: Callable) -> None:
    clips = [shot(seed, seconds=2, fps=12) for seed in range(6)]
    for a, b in combinations(clips, 2):
        assert likeness(thumbnails(a), thumbnails(b)) < 0.65
    assert min(likeness(thumbnails(a), thumbnails(near_copy(a))) for a in clips) > 0.85


def test_clips_without_color_are_compared_by_luma(shot: Callable) -> None:
    gray = [
        np.repeat(shot(seed, seconds=2).mean(-1, keepdims=True), 3, -1).astype(np.uint8) for seed in (1, 2)
    ]
    assert likeness(thumbnails(gray[0]), thumbnails(near_copy(gray[0]))) > 0.85
    assert likeness(thumbnails(gray[0]), thumbnails(gray[1])) < 0.65


def test_exact_copies_are_found_by_content_and_the_first_kept_one_is_named(shot: Callable) -> None:
    known = index()
    frames = shot(1, seconds=2)
    known.add([row("a", frames, content_hash="same")])
    assert original(known, row("b", shot(2, seconds=2), content_hash="same")) == "a"
    known.add([row("c", near_copy(frames))])
    assert original(known, row("d", frames)) == "a"


def test_neighbors_from_one_shot_are_no_copies_of_each_other(shot: Callable) -> None:
    known = index()
    frames = shot(1, seconds=2)
    known.add([row("a", frames, source_uri="/one.mp4")])
    assert original(known, row("b", frames, source_uri="/one.mp4")) is None
    assert original(known, row("b", frames, source_uri="/one.mp4", shot_index=1)) == "a"


def test_which_copy_is_found_depends_on_neither_order_nor_company(shot: Callable) -> None:
    clips = [shot(seed, seconds=2, fps=12) for seed in range(12)]
    rows = [row(f"clip{n}", frames) for n, frames in enumerate(clips)]
    rows += [row(f"again{n}", near_copy(frames)) for n, frames in enumerate(clips[:4])]
    copies = [row(f"copy{n}", near_copy(frames)) for n, frames in enumerate(clips)]
    found = []
    for seed in range(3):
        known = index()
        for number in np.random.default_rng(seed).permutation(len(rows)):
            known.add([rows[number]])
        found.append([original(known, copy) for copy in copies])
    assert found[0] == found[1] == found[2]
    assert found[0] == [*(f"again{n}" for n in range(4)), *(f"clip{n}" for n in range(4, 12))]


def test_what_is_removed_is_no_longer_found(shot: Callable) -> None:
    known = index()
    frames = shot(1, seconds=2)
    known.add([row("a", frames), row("b", shot(2, seconds=2))])
    known.add([row("a", frames)])
    assert len(known) == 2
    known.remove(["a", "unknown"])
    assert original(known, row("c", frames)) is None
    assert len(known) == 1
    known.add([row("a", frames)])
    assert original(known, row("c", frames)) == "a"


def test_a_row_older_than_embeddings_is_found_by_its_content(shot: Callable) -> None:
    known = index()
    frames = shot(1, seconds=2)
    known.add([row("a", frames, embedding=None, content_hash="same")])
    assert original(known, row("b", frames)) is None
    assert original(known, row("b", frames, content_hash="same")) == "a"
    assert original(known, row("c", frames, embedding=None, content_hash="same")) == "a"


def synthetic(count: int, first: int = 0) -> Iterator[Row]:
    """Rows of clips that never were, with embeddings as far apart as those of real clips."""
    draw = np.random.default_rng(first)
    for number in range(first, first + count):
        vector = np.clip(draw.normal(0, 6, SIZE).round(), -127, 127).astype(np.int8)
        yield {
            "media_path": str(number), "clip_id": f"s{number}", "source_uri": f"/s{number}.mp4",
            "start_seconds": 0.0, "shot_index": 0, "content_hash": f"h{number}", "perceptual_hash": "00" * 96,
            "embedding": base64.b64encode(vector.tobytes()).decode(),
        }  # fmt: skip


def test_memory_stays_flat_as_the_index_grows(shot: Callable) -> None:
    frames = shot(1, seconds=2)
    known = index()
    known.add([row("clip", frames)])
    tracemalloc.start()
    known.add(synthetic(5_000))
    first = tracemalloc.get_traced_memory()[1]
    known.add(synthetic(20_000, first=5_000))
    second = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert second < 1.1 * first
    assert len(known) == 25_001
    assert original(known, row("copy", near_copy(frames))) == "clip"
