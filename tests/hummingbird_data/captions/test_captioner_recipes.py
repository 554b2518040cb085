"""The fragments for captioners: their settings hold, and their models run at small width in their published format."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hummingbird.config.loading import load_settings
from hummingbird_data.captions.captioning import plan_captioning
from hummingbird_data.captions.engines import CaptionEngine, frames_hash
from hummingbird_data.reading.clip_frames import clip_frames, evenly
from hummingbird_data.stage import Row, StageRunner
from vision_language_models import write_qwen2_5_vl, write_qwen3_vl

RECIPES = Path(__file__).parents[3] / "jobs/recipes/captioners"
WRITERS = {"qwen3-vl-2b": write_qwen3_vl, "qwen2.5-vl-7b": write_qwen2_5_vl}


def engine_of(name: str, folder: Path, **changes: Any) -> CaptionEngine:
    """The engine of a fragment, its model in ``folder``, run by transformers on a CPU."""
    path = RECIPES / f"{name}.yaml"
    overrides = [f"models.captioner={folder}", "curate.caption_engine=transformers", "curate.model_gpus=0"]
    plan = plan_captioning(load_settings(path, [*overrides, *(f"{k}={v}" for k, v in changes.items())]))
    assert plan.captioning is not None
    assert plan.captioning.describe.prompt.name == "describe"
    return plan.captioning.describe.engine


def test_every_fragment_is_rehearsed() -> None:
    assert {path.stem for path in RECIPES.glob("*.yaml")} == set(WRITERS)
    for path in RECIPES.glob("*.yaml"):
        assert load_settings(path).curate.caption_engine == "vllm"
        assert set(yaml.safe_load(path.read_text())) == {"models", "curate"}


@pytest.mark.parametrize("name", list(WRITERS))
def test_its_model_answers_at_small_width(
    tmp_path: Path, name: str, write_video: Callable, shot: Callable
) -> None:
    folder = WRITERS[name](tmp_path / "model")
    engine = engine_of(name, folder, **{"curate.caption_tokens": 12})
    engine.check()
    fixed = {"storage": str(tmp_path), "question": "What is it?", "temperature": 0.0}
    rows: list[Row] = []
    for number in range(3):
        write_video(tmp_path / f"{number}.mp4", shot(number, seconds=1, fps=12))
        rows.append({"clip_id": str(number), "media_path": f"{number}.mp4", "seed": number, **fixed})
    runner = StageRunner(engine)
    made = runner.run(rows)
    assert made == [runner.run([row])[0] for row in rows]
    for row, answer in zip(rows, made, strict=True):
        assert answer["answer"]
        assert answer["frames_hash"] == frames_hash(evenly(clip_frames(row)[0], 8))
    assert len({answer["answer"] for answer in made}) > 1  # it looks at what it is shown
