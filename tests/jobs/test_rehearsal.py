"""Rehearsals: small models in the published formats, and settings that differ in what a list allows alone."""

import json
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from hummingbird.config.loading import load_settings
from hummingbird.core.errors import InputError
from hummingbird.importing.format import check_import
from hummingbird.lake.runs import load_result
from hummingbird_data.captions.caption_checks import CaptionChecks
from hummingbird_data.captions.engine_transformers import TransformersEngine
from hummingbird_data.captions.engines import EngineSpec
from hummingbird_jobs.line import import_settings
from hummingbird_jobs.recipes import load_recipe
from hummingbird_jobs.rehearsal.captioner import CAPTIONS, random_qwen2_5_vl
from hummingbird_jobs.rehearsal.rehearse import ALLOWED, Difference, rehearsal_of

RECIPES = ("videocrafter2", "videocrafter2-0.7b")
VIDEOS = Path(__file__).parents[3] / "shared" / "videos"
LINE = Path(__file__).parents[2] / "jobs" / "line.py"


@pytest.mark.parametrize("name", RECIPES)
def test_a_rehearsal_differs_in_what_the_list_allows_and_its_models_are_whole(
    name: str, tmp_path: Path
) -> None:
    recipe = load_settings(None, [f"storage={tmp_path}"], load_recipe(name))
    rehearsed, differences = rehearsal_of(recipe, tmp_path / "models")
    assert {difference.kind for difference in differences} <= set(ALLOWED.values())
    assert {"steps", "a count", "the file of a small model"} <= {d.kind for d in differences}
    # What makes the method is the recipe's.
    for section in ("distill", "feedback"):
        assert getattr(rehearsed, section).method == getattr(recipe, section).method
        assert getattr(rehearsed, section).learning_rate == getattr(recipe, section).learning_rate
    weights = [
        {name: own["weight"] for name, own in one.feedback.rewards.items()} for one in (rehearsed, recipe)
    ]
    assert weights[0] == weights[1]
    assert rehearsed.encode.num_frames == recipe.encode.num_frames == 26
    assert rehearsed.line.verbs == recipe.line.verbs
    # Either a small decoder is imported, or the line makes one.
    assert ("decoder" in recipe.line.verbs) == (recipe.import_checkpoint.decoder is None)
    assert rehearsed.decoder.blocks == recipe.decoder.blocks
    # The published formats: the same reader that takes the real files takes these, by every name and shape.
    check_import(rehearsed.import_checkpoint)
    for item in rehearsed.line.imports:
        check_import(import_settings(rehearsed, item).import_checkpoint)


def test_another_difference_is_an_error() -> None:
    with pytest.raises(RuntimeError, match=r"must not change feedback\.learning_rate \(1 to 2\)"):
        _ = Difference("feedback.learning_rate", 1, 2).kind


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("models.captioner=llava", "knows a small Qwen2.5-VL alone, not llava"),
        ("import_checkpoint.format=modelscope", "VideoCrafter2's format alone"),
    ],
)
def test_a_model_that_cannot_be_rehearsed_is_named(override: str, message: str, tmp_path: Path) -> None:
    recipe = load_settings(None, [f"storage={tmp_path}", override], load_recipe(RECIPES[0]))
    with pytest.raises(InputError, match=message):
        rehearsal_of(recipe, tmp_path)


def test_the_captioner_of_random_weights_writes_english(tmp_path: Path) -> None:
    checks = CaptionChecks()
    assert not [caption for caption in CAPTIONS if checks.caption(caption)]
    folder = random_qwen2_5_vl(tmp_path / "qwen2.5-vl")
    engine = TransformersEngine(None, EngineSpec("transformers", str(folder), frames=2, max_tokens=8))
    engine.check()
    engine.setup()
    row = {"question": "What is seen?", "temperature": 0.0, "seed": 0}
    frames = [np.full((2, 64, 96, 3), shade, np.uint8) for shade in (20, 200)]
    answers = engine._answer([row, row], frames)
    assert {answer["answer"] for answer in answers} <= set(CAPTIONS)


@pytest.mark.slow
@pytest.mark.skipif(not VIDEOS.is_dir(), reason="the shared footage is not there")
@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_runs_from_checkpoint_files_to_a_served_video(name: str, tmp_path: Path) -> None:
    command = [sys.executable, str(LINE), "--recipe", name, "--rehearse", "--storage", str(tmp_path / "runs")]
    done = subprocess.run([*command, f"curate.source={VIDEOS}"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    result = load_result(Path(done.stdout.splitlines()[-1]))
    assert {"student", "package", "report", "video"} <= set(result["outputs"])
    assert Path(result["outputs"]["report"]).is_file()
    with av.open(result["outputs"]["video"]) as video:
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert len(frames) == 26
    assert frames[0].shape == (64, 96, 3)
    results = result["outputs"]["results"]
    encoded = load_result(Path(results["encode"]))["metrics"]
    assert encoded["buckets"][0]["shape"] == [26, 4, 8, 12]
    curated = json.loads(Path(results["curate"]).read_text())["metrics"]
    assert curated["kept"] > 0
