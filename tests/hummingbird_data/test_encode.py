"""The cache holds the kept clips of one snapshot, and a second run makes only what is missing."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.lake.lake import Lake
from hummingbird.lake.media import store_media
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
                "media_path": media.media_path,
                "caption": caption,
                "verdict": "dropped" if dropped else "kept",
                "reasons": ["static"] if dropped else [],
            }
        )
    lake.commit_batch("batch", pa.Table.from_pylist(rows, schema=CLIPS), None)
    return settings


def test_the_cache_holds_the_latents_and_texts_of_kept_clips(ray_cluster: None, filled: Settings) -> None:
    result = json.loads(encode(filled).read_text())
    folder = Path(result["outputs"]["cache"])
    cache = LatentCache(folder)
    assert len(cache) == result["metrics"]["clips"] == 2
    assert result["input_snapshot"] == cache.about["snapshot_id"] == Lake.open(filled).snapshot()
    assert tuple(cache.about["shape"]) == (16, *cache.load([0])["latents"].shape[1:2], 8, 8)

    pipeline = load_pipeline(filled.models.teacher)
    row = Lake.open(filled).read("clips", "clip_id = 'clip1'").to_pylist()[0]
    frames, fps = clip_frames({"storage": str(filled.storage), "media_path": row["media_path"]})
    latents = pipeline.encode_frames(training_frames(frames, fps, 8, 16, 64)).permute(1, 0, 2, 3)
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
