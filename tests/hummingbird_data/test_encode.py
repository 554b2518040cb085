"""The cache holds the kept clips of one snapshot, and a second run makes only what is missing."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from hummingbird.config.cluster import CatalogSettings
from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.core.files import as_path
from hummingbird.core.remote_path import RemotePath
from hummingbird.lake.lake import Lake
from hummingbird.lake.media import store_media
from hummingbird.lake.runs import load_result
from hummingbird.lake.schemas import CLIPS
from hummingbird.models.pipeline import load_pipeline
from hummingbird.training.latent_cache import LatentCache
from hummingbird_data.encode import encode
from hummingbird_data.latents.samples import training_frames
from hummingbird_data.reading.clip_frames import clip_frames

CAPTIONS = [
    "a red circle moving left on a dotted background",
    "a blue star turning on a brick background",
    "rejected",
]


@pytest.fixture
def filled(tmp_path: Path, write_video: Callable, shot: Callable) -> Settings:
    """A lake with two kept clips and a dropped one."""
    settings = Settings(storage=tmp_path / "runs", encode={"part_clips": 1})  # type: ignore[arg-type]
    return _fill(settings, tmp_path, write_video, shot)


@pytest.fixture
def filled_at_uri(tmp_path: Path, write_video: Callable, shot: Callable) -> Settings:
    """The same with a storage that is a URI, which fsspec's file system for local files reads."""
    tables = {
        "type": "sql",
        "uri": f"sqlite:///{tmp_path / 'tables.db'}",
        "warehouse": f"file://{tmp_path / 'tables'}",
    }
    settings = Settings(
        storage=f"local://{tmp_path / 'runs'}",  # type: ignore[arg-type]
        catalog=CatalogSettings(properties=tables),
        encode={"part_clips": 1},  # type: ignore[arg-type]
    )
    return _fill(settings, tmp_path, write_video, shot)


def _fill(settings: Settings, tmp_path: Path, write_video: Callable, shot: Callable) -> Settings:
    lake = Lake.open(settings)
    rows = []
    for number, caption in enumerate(CAPTIONS):
        content = write_video(tmp_path / "clip.mp4", shot(number, seconds=2.2)).read_bytes()
        media = store_media(settings.storage, content)
        dropped = caption == "rejected"
        rows.append(
            dict.fromkeys(CLIPS.names)
            | {
                "clip_id": f"clip{number}",
                "batch_id": "batch",
                "source_uri": f"/{number}.mp4",
                "start_seconds": 0.0,
                "end_seconds": 2.2,
                "width": 64,
                "height": 64,
                "fps": 24.0,
                "num_frames": 53,
                "media_path": media.media_path,
                "caption": caption,
                "verdict": "dropped" if dropped else "kept",
                "reasons": ["static"] if dropped else [],
            }
        )
    lake.commit_batch("batch", pa.Table.from_pylist(rows, schema=CLIPS), None)
    return settings


def test_a_cache_at_a_uri_is_written_by_workers_and_read_from_a_copy(
    ray_cluster: None, filled_at_uri: Settings, scratch: Path
) -> None:
    result = load_result(encode(filled_at_uri))
    folder = as_path(result["outputs"]["cache"])
    assert isinstance(folder, RemotePath)
    assert sorted(path.name for path in folder.iterdir()) == [
        "cache.json",
        "empty.npy",
        "part-00000.parquet",
        "part-00001.parquet",
    ]
    cache = LatentCache(folder)
    assert len(cache) == 2
    assert cache.load([1])["latents"].isfinite().all()
    assert (scratch / "copies").is_dir()
    assert load_result(encode(filled_at_uri))["outputs"] == result["outputs"]


def test_the_cache_holds_the_latents_and_texts_of_kept_clips(ray_cluster: None, filled: Settings) -> None:
    result = json.loads(encode(filled).read_text())
    folder = Path(result["outputs"]["cache"])
    cache = LatentCache(folder)
    assert len(cache) == result["metrics"]["clips"] == 2
    assert result["input_snapshot"] == cache.about["snapshot_id"] == Lake.open(filled).snapshot()
    assert cache.shapes == [(16, cache.load([0])["latents"].shape[1], 8, 8)]

    pipeline = load_pipeline(filled.models.teacher)
    row = Lake.open(filled).read("clips", "clip_id = 'clip1'").to_pylist()[0]
    frames, fps = clip_frames({"storage": str(filled.storage), "media_path": row["media_path"]})
    latents = pipeline.encode_frames(training_frames(frames, fps, 8, 16, 64, 64)).permute(1, 0, 2, 3)
    made = cache.load([1])
    torch.testing.assert_close(made["latents"][0], latents, atol=2e-2, rtol=2e-2)
    torch.testing.assert_close(
        made["text"][0], pipeline.encode_prompts([CAPTIONS[1]])[0], atol=1e-2, rtol=1e-2
    )
    torch.testing.assert_close(cache.empty_text, pipeline.encode_prompts([""])[0], atol=1e-2, rtol=1e-2)
    assert made["captions"] == [CAPTIONS[1]]

    part = folder / "part-00000.parquet"
    kept = part.stat().st_mtime_ns
    (folder / "part-00001.parquet").unlink()
    (folder / "cache.json").unlink()
    assert Path(json.loads(encode(filled).read_text())["outputs"]["cache"]) == folder
    assert part.stat().st_mtime_ns == kept
    again = LatentCache(folder).load([1])
    assert again.pop("captions") == made.pop("captions")
    torch.testing.assert_close(again, made)


def test_clips_without_a_caption_are_left_out_and_counted(ray_cluster: None, filled: Settings) -> None:
    lake = Lake.open(filled)

    def caption(number: int, text: str | None) -> None:
        (row,) = lake.read("clips", f"clip_id = 'clip{number}'").to_pylist()
        lake.commit_batch(
            f"{number}{text}", pa.Table.from_pylist([{**row, "caption": text}], schema=CLIPS), None
        )

    caption(0, None)
    result = json.loads(encode(filled).read_text())
    assert (result["metrics"]["clips"], result["metrics"]["without_caption"]) == (1, 1)
    assert len(LatentCache(Path(result["outputs"]["cache"]))) == 1
    caption(1, " ")
    with pytest.raises(InputError, match=r"none of the 2 kept clips .* has a caption: .*models\.captioner"):
        encode(filled)


def test_clips_go_to_buckets_and_too_short_ones_are_left_out_and_counted(
    ray_cluster: None, filled: Settings, shot: Callable, write_video: Callable, tmp_path: Path
) -> None:
    lake = Lake.open(filled)
    (row,) = lake.read("clips", "clip_id = 'clip0'").to_pylist()

    def add(name: str, said: int, seconds: float) -> None:
        content = write_video(tmp_path / "clip.mp4", shot(5, seconds=seconds)).read_bytes()
        media = store_media(filled.storage, content).media_path
        named = {"clip_id": name, "source_uri": f"/{name}.mp4", "caption": name}
        added = {**row, **named, "num_frames": said, "media_path": media}
        lake.commit_batch(name, pa.Table.from_pylist([added], schema=CLIPS), None)

    add("long", 96, 4.0)
    add("short", 36, 1.5)
    add("says-more", 53, 1.5)

    def encoded(**section: object) -> tuple[LatentCache, dict]:
        update = filled.encode.model_copy(update=section)
        result = load_result(encode(filled.model_copy(update={"encode": update})))
        return LatentCache(as_path(result["outputs"]["cache"])), result["metrics"]

    sizes = ("64x64x26", "64x128x16")
    cache, metrics = encoded(buckets=sizes)
    assert cache.shapes == [(16, cache.channels, 8, 8), (26, cache.channels, 8, 8)]  # no clip is wide
    assert [bucket["count"] for bucket in cache.about["buckets"]] == [2, 1]
    assert cache.load([2])["captions"] == ["long"]
    assert (metrics["clips"], metrics["too_short"]) == (3, 2)
    assert metrics["bytes"] == sum(part.bytes for part in cache.parts)

    cache, metrics = encoded(height=64, width=128, max_fps=12.0)
    assert cache.shapes == [(16, cache.channels, 8, 16)]
    assert metrics["too_short"] == 1  # what its row says more than its file has
    rates = dict(zip(*(cache.load(range(4))[name] for name in ("captions", "fps")), strict=True))
    assert float(rates["short"]) == pytest.approx(16 / 1.5)
    assert float(rates["long"]) == 8

    with pytest.raises(InputError, match=r"none of 5 clips lasts long enough for 60 frames .* 4\.00 s"):
        encoded(num_frames=60)
    with pytest.raises(InputError, match="multiple of"):
        encoded(height=20)


def test_what_cannot_be_encoded_is_refused_in_words(tmp_path: Path, filled: Settings) -> None:
    with pytest.raises(InputError, match=r"no lake|no storage folder"):
        encode(Settings(storage=tmp_path / "nowhere"))
    with pytest.raises(InputError, match="no snapshot 5"):
        encode(Settings(storage=filled.storage, encode={"snapshot": 5}))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no pipeline"):
        encode(Settings(storage=filled.storage, models={"teacher": str(tmp_path)}))  # type: ignore[arg-type]


def test_frames_are_half_precision_or_refused() -> None:
    from hummingbird_data.latents.latent_parts import _half

    assert _half(torch.ones(2)).dtype == np.float16
    with pytest.raises(ValueError, match="beyond float16"):
        _half(torch.tensor([1e6]))
