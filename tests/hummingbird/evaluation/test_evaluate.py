"""Evaluation of untrained pipelines on real Ray Data: results, restart, clear errors."""

import json
import shutil
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hummingbird.config.evaluate import Candidate, EvaluateSettings
from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.evaluation import generation as generate
from hummingbird.evaluation.evaluate import evaluate
from hummingbird.evaluation.evaluated_models import choose
from hummingbird.evaluation.score import SHAPES
from hummingbird.lake.runs import load_result
from hummingbird.models.video import read_mp4
from hummingbird.reports.from_runs import grid_part, scores_part


@pytest.fixture
def small(tiny_pipelines: dict[str, Path], tmp_path: Path) -> Settings:
    models = tuple(Candidate(name=name, path=str(path)) for name, path in tiny_pipelines.items())
    section = EvaluateSettings(
        models=models,
        prompts=4,
        num_inference_steps=2,
        few_step_inference_steps=1,
        batch_size=2,
        resamples=100,
    )
    return Settings(storage=tmp_path, evaluate=section)


def test_models_sample_as_their_configuration_says(small: Settings) -> None:
    teacher, student = choose(small)
    assert (teacher.few_steps, teacher.steps, teacher.decoder) == (False, 2, "full")
    assert (student.few_steps, student.steps, student.decoder) == (True, 1, "small")
    assert teacher.key != student.key


def test_half_precision_is_another_sampling_with_nearly_the_same_video() -> None:
    rows = {"prompt": ["a red circle moving left on a striped background"], "seed": [3]}
    frames, keys = [], set()
    precisions: tuple[Literal["fp32", "bf16"], ...] = ("fp32", "bf16")
    for precision in precisions:
        model = Candidate(name="teacher", path="shapes-teacher", num_inference_steps=2)
        section = EvaluateSettings(models=(model,), mixed_precision=precision)
        (chosen,) = choose(Settings(evaluate=section))
        keys.add(chosen.key)
        frames.append(generate.Generator(chosen)(rows)["frames"].astype(float))
    assert len(keys) == 2
    assert 0 < np.abs(frames[0] - frames[1]).mean() < 8


def test_evaluation_ends_with_scores_videos_and_rows(small: Settings, ray_cluster: None) -> None:
    result = load_result(evaluate(small))
    assert result["state"] == "finished"
    for model in ("teacher", "student"):
        scored = result["metrics"]["models"][model]
        assert scored["total"]["low"] <= scored["total"]["value"] <= scored["total"]["high"]
        assert set(scored["dimensions"]) == {d.name for d in SHAPES}
        assert set(scored["acceptance"]) >= {"color", "motion", "shape", "all"}
    grid = grid_part(result)
    assert grid.models == ("teacher", "student")
    assert all(set(row.videos) == {"teacher", "student"} for row in grid.rows)
    video = sorted(Path(result["outputs"]["videos"]).rglob("*.mp4"))[0]
    assert read_mp4(video)[0].shape == (16, 64, 64, 3)
    assert scores_part(result).prompts == 4


@pytest.mark.slow
def test_an_interrupted_evaluation_goes_on_where_it_was(
    small: Settings, ray_cluster: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load_result(evaluate(small))
    rows = sorted((tmp_path / "evaluate").rglob("rows/*.jsonl"))
    lines = rows[0].read_text().splitlines()
    # As a killed process leaves it: two results, and half of a third.
    rows[0].write_text("\n".join(lines[:2]) + "\n" + lines[2][:40])
    made: list[int] = []
    stream = generate._stream
    monkeypatch.setattr(
        generate, "_stream", lambda m, p, b: (made.extend(x.index for x in p), stream(m, p, b))[1]
    )
    again = load_result(evaluate(small))
    assert len(made) == 2
    assert again["metrics"] == first["metrics"]
    assert [json.loads(line)["index"] for line in rows[0].read_text().splitlines()[:2]] == [
        json.loads(line)["index"] for line in lines[:2]
    ]


def test_a_folder_without_a_pipeline_is_bad_input(tmp_path: Path) -> None:
    models = (Candidate(name="mine", path=str(tmp_path)),)
    with pytest.raises(InputError, match="no pipeline in"):
        evaluate(Settings(storage=tmp_path, evaluate=EvaluateSettings(models=models)))


def test_a_model_without_the_decoder_is_bad_input(tiny_pipelines: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_pipelines["student"], tmp_path / "student")
    shutil.rmtree(folder / "decoder")
    section = EvaluateSettings(models=(Candidate(name="mine", path=str(folder)),))
    with pytest.raises(InputError, match=r"mine: .* has no small decoder"):
        choose(Settings(storage=tmp_path, evaluate=section))
    full = section.model_copy(update={"few_step_decoder": "full"})
    (model,) = choose(Settings(storage=tmp_path, evaluate=full))
    assert model.decoder == "full"


def test_models_with_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="distinct names"):
        EvaluateSettings(models=(Candidate(name="a", path="x"), Candidate(name="a", path="y")))


def test_a_prompt_outside_the_world_is_an_error() -> None:
    with pytest.raises(ValueError, match="cannot read the prompt"):
        generate.judge({"prompt": "a dog", "frames": np.zeros((16, 64, 64, 3), np.uint8), "fps": 8})
