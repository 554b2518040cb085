"""Evaluation of untrained pipelines: on real Ray Data, and in this process where a failure is made."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow.parquet as pq
import pytest
from hummingbird.config.evaluate import EvaluatedModel, EvaluateSettings
from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.evaluation import evaluate as verb
from hummingbird.evaluation import generation
from hummingbird.evaluation.evaluate import evaluate
from hummingbird.evaluation.evaluated_models import resolve_models
from hummingbird.evaluation.suites.shapes.dimensions import SHAPES
from hummingbird.lake.runs import load_result
from hummingbird.models.video import read_mp4
from hummingbird.reports import write_report
from hummingbird.reports.evaluation import evaluation_report
from hummingbird.reports.from_runs import grid_part, scores_part

HARD_PROMPTS = (
    "a red panda " + "and another one " * 20,
    "../../x",
    "/etc/passwd",
    "🐦 ein Kolibri",
    "two\nlines\tand a tab",
    "CON: <b>'\"$(x)`",
)


@pytest.fixture
def small(tiny_pipelines: dict[str, Path], tmp_path: Path) -> Settings:
    models = tuple(EvaluatedModel(name=name, path=str(path)) for name, path in tiny_pipelines.items())
    section = EvaluateSettings(
        models=models,
        prompts=4,
        num_inference_steps=2,
        few_step_inference_steps=1,
        batch_size=2,
        resamples=100,
        mixed_precision="fp32",
    )
    return Settings(storage=tmp_path, evaluate=section)


def changed(settings: Settings, **values: Any) -> Settings:
    return settings.model_copy(update={"evaluate": settings.evaluate.model_copy(update=values)})


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[str, str], bool]], list[str]]:
    """Generation and measuring without Ray; ``fails`` says which prompts of which model fail.

    Returns the list that names what is generated, as "model id".
    """

    def use(fails: Callable[[str, str], bool]) -> list[str]:
        log: list[str] = []

        class Generator(generation.VideoGenerator):
            def _sample(self, prompts: Sequence[str], seeds: Sequence[int]) -> Any:
                if any(fails(self.model.name, prompt) for prompt in prompts):
                    raise ValueError("no\nvideo for this")
                return super()._sample(prompts, seeds)

        def stream(model: Any, plugin: Any, tasks: Any, batch_size: int) -> Iterator[dict[str, Any]]:
            generator = Generator(model)
            rows = generation.task_rows(tasks)
            log.extend(f"{model.name} {row['id']}" for row in rows)
            for start in range(0, len(rows), batch_size):
                batch = rows[start : start + batch_size]
                columns = generator({key: [row[key] for row in batch] for key in batch[0]})
                for place in range(len(batch)):
                    row = {key: values[place] for key, values in columns.items()}
                    yield generation.measure_row(row, plugin, model.name, model.parameters.fps)

        monkeypatch.setattr(generation, "_stream", stream)
        monkeypatch.setattr(verb, "connect", lambda settings: None)
        return log

    return use


def test_models_sample_as_their_configuration_says(small: Settings) -> None:
    teacher, student = resolve_models(small)
    assert (teacher.few_steps, teacher.parameters.num_inference_steps) == (False, 2)
    assert (student.few_steps, student.parameters.num_inference_steps) == (True, 1)
    assert (teacher.parameters.decoder, student.parameters.decoder) == ("full", "small")
    assert teacher.key != student.key


def test_half_precision_is_another_sampling_with_nearly_the_same_video() -> None:
    rows = {"prompt": ["a red circle moving left on a striped background"], "seed": [3]}
    frames, keys = [], set()
    precisions: tuple[Literal["fp32", "bf16"], ...] = ("fp32", "bf16")
    for precision in precisions:
        model = EvaluatedModel(name="teacher", path="shapes-teacher", num_inference_steps=2)
        section = EvaluateSettings(models=(model,), mixed_precision=precision)
        (chosen,) = resolve_models(Settings(evaluate=section))
        keys.add(chosen.key)
        columns = generation.VideoGenerator(chosen)(rows)
        assert columns["precision"] == [precision]
        frames.append(np.frombuffer(columns["frames"][0], np.uint8).astype(float))
    assert len(keys) == 2
    assert 0 < np.abs(frames[0] - frames[1]).mean() < 8


def test_evaluation_ends_with_scores_videos_and_rows(small: Settings, ray_cluster: None) -> None:
    result = load_result(evaluate(small))
    assert result["state"] == "finished"
    metrics = result["metrics"]
    for model in ("teacher", "student"):
        scored = metrics["models"][model]
        assert scored["total"]["low"] <= scored["total"]["value"] <= scored["total"]["high"]
        assert set(scored["dimensions"]) == {d.name for d in SHAPES}
        assert set(scored["figures"]) >= {f"one object, {name} right" for name in ("color", "motion", "all")}
        assert scored["failed"] == []
    assert metrics["suite"]["name"] == "shapes"
    stamp = metrics["stamps"]["teacher"]
    assert (stamp["num_inference_steps"], stamp["precisions"]) == (2, ["fp32"])
    assert stamp["sizes"] == [{"frames": 16, "height": 64, "width": 64}]
    assert {"torch", "hummingbird"} <= set(metrics["versions"])
    assert len(metrics["seeds"]) == 4
    grid = grid_part(result)
    assert grid.models == ("teacher", "student")
    assert all(set(row.videos) == {"teacher", "student"} for row in grid.rows)
    video = sorted(Path(result["outputs"]["videos"]).rglob("*.mp4"))[0]
    assert read_mp4(video)[0].shape == (16, 64, 64, 3)
    assert scores_part(result).prompts == 4


def test_any_prompts_are_evaluated_with_what_can_be_measured(
    small: Settings, in_process: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [{"prompt": text} for text in HARD_PROMPTS]
    lines[-1]["seeds"] = [5, 6]  # type: ignore[assignment]
    file = tmp_path / "mine.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    in_process(lambda model, prompt: False)
    result = load_result(evaluate(changed(small, prompts=file, num_frames=8)))
    metrics = result["metrics"]
    assert (metrics["suite"]["name"], metrics["prompts"], metrics["videos"]) == ("prompts", 6, 7)
    for model in metrics["models"].values():
        assert model["total"] is None
        assert set(model["dimensions"]) == {"temporal flickering"}
    assert len(metrics["missing"]) == 15
    assert "missing: aesthetic quality" in capsys.readouterr().out
    # Files have the names of ids; a map says which prompt is which.
    videos = Path(result["outputs"]["videos"])
    for folder in videos.iterdir():
        names = {path.name for path in folder.iterdir()}
        assert names == {
            f"{name}.mp4" for name in ("0001", "0002", "0003", "0004", "0005", "0006-0", "0006-1")
        }
    prompt_rows = [json.loads(line) for line in Path(result["outputs"]["prompts"]).read_text().splitlines()]
    assert [one["prompt"] for one in prompt_rows] == list(HARD_PROMPTS)
    assert prompt_rows[-1]["seeds"] == [5, 6]
    rows = pq.read_table(result["outputs"]["rows"]).to_pylist()
    assert {row["prompt"] for row in rows} == set(HARD_PROMPTS)
    assert not (tmp_path.parent / "x.mp4").exists()
    page = scores_part(result)
    assert set(page.rows) == {"temporal flickering"}
    assert len(page.missing) == 15


def test_dimensions_of_finished_videos_join_the_others(
    small: Settings, in_process: Callable[..., list[str]], tmp_path: Path
) -> None:
    # In place of VBench's package: it sees no color in the second of three, and no action at all.
    package = tmp_path / "python"
    package.write_text(
        f"""#!{sys.executable}
import json, sys
paths = [path for row in json.load(open(sys.argv[2])) for path in row["video_list"]]
for name in sys.argv[4:]:
    if name != "human_action":
        value = 1.7 if "1.7" in paths[0] and name == "color" else 0.25
        found = [{{"video_path": p, "video_results": value}} for p in paths if name != "color" or "green" not in p]
        json.dump({{name: [0, found]}}, open(sys.argv[3] + "/" + name + "_eval_results.json", "w"))
"""
    )
    package.chmod(0o755)
    names = ["color", "human action", "temporal flickering"]
    lines = [
        {"prompt": f"a {color} car", "dimensions": names, "auxiliary_info": {"color": {"color": color}}}
        for color in ("red", "green", "blue")
    ]
    file = tmp_path / "mine.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)))
    suite = {"vbench": {"official": str(package), "official_dimensions": names[:2]}}
    with_suite = changed(small, prompts=file, suite=suite, num_frames=2)
    in_process(lambda model, prompt: (model, prompt) == ("student", "a blue car"))
    result = load_result(evaluate(with_suite))
    models = result["metrics"]["models"]
    assert models["teacher"]["raw"]["color"] == 0.25
    assert models["student"]["raw"]["color"] == pytest.approx(
        (0.25 + 0) / 2
    )  # what could not be made counts as 0
    assert set(models["teacher"]["dimensions"]) == {"color", "temporal flickering"}
    assert result["metrics"]["missing"]["human action"].startswith(
        "VBench's own package could not measure it"
    )
    assert load_result(evaluate(with_suite))["metrics"] == result["metrics"]
    lines[0]["prompt"] = "a 1.7 car"
    file.write_text("\n".join(map(json.dumps, lines)))
    with pytest.raises(ValueError, match=r"teacher, video 0001: color is 1\.7, outside its range"):
        evaluate(with_suite)


def test_one_prompt_is_enough(small: Settings, in_process: Callable[..., list[str]], tmp_path: Path) -> None:
    file = tmp_path / "one.jsonl"
    file.write_text('{"prompt": "a dog runs", "seed": 1}\n')
    in_process(lambda model, prompt: False)
    models = small.evaluate.models[1:]
    metrics = load_result(evaluate(changed(small, prompts=file, models=models, num_frames=2)))["metrics"]
    assert (metrics["videos"], metrics["seeds"]) == (1, [1])
    assert 0 <= metrics["models"]["student"]["raw"]["temporal flickering"] <= 1


def test_models_are_timed_as_they_were_scored_and_the_page_draws_the_frontier(
    small: Settings, in_process: Callable[..., list[str]], tmp_path: Path
) -> None:
    in_process(lambda model, prompt: False)
    result = load_result(evaluate(changed(small, timed_videos=1)))
    speed = result["metrics"]["speed"]
    teacher, student = (speed["rows"][name] for name in ("teacher", "student"))
    assert (teacher["num_inference_steps"], student["num_inference_steps"]) == (2, 1)
    assert (teacher["precision"], student["mode"]) == ("fp32", "eager")
    page = evaluation_report(result)
    assert page.frontier is not None
    assert [p.name for p in page.frontier.points] == ["teacher", "student"]
    text = write_report(page, tmp_path / "report.html").read_text()
    assert 'id="frontier"' in text
    assert result["metrics"]["stamps"]["student"]["weights_hash"][:12] in text


def test_a_failed_video_counts_as_the_worst_and_is_shown(
    small: Settings,
    in_process: Callable[..., list[str]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "mine.jsonl"
    file.write_text("".join(json.dumps({"prompt": text}) + "\n" for text in ("one", "two", "three")))
    with_prompts = changed(small, prompts=file)
    in_process(lambda model, prompt: False)
    before = load_result(evaluate(with_prompts))
    shutil.rmtree(tmp_path / "evaluate")
    log = in_process(lambda model, prompt: (model, prompt) == ("student", "two"))
    result = load_result(evaluate(with_prompts))
    models, models_before = result["metrics"]["models"], before["metrics"]["models"]
    assert models["teacher"] == models_before["teacher"]
    (failed,) = models["student"]["failed"]
    assert (failed["id"], failed["error"]) == ("0002", "ValueError: no video for this")
    table = pq.read_table(result["outputs"]["rows"]).to_pylist()
    values = [row["value temporal flickering"] for row in table if row["model"] == "student"]
    assert values[1] == 0
    assert models["student"]["raw"]["temporal flickering"] == pytest.approx(sum(values) / 3)
    assert "1 of 3 videos could not be made" in capsys.readouterr().out
    assert [row.videos["student"].error for row in grid_part(result).rows] == [None, failed["error"], None]
    # Taken up again, nothing is made anew, the failed one neither.
    log.clear()
    assert load_result(evaluate(with_prompts))["metrics"] == result["metrics"]
    assert log == []


def test_a_failed_video_of_the_shapes_has_every_attribute_wrong(
    small: Settings, in_process: Callable[..., list[str]]
) -> None:
    failing: list[str] = []

    def fails(model: str, prompt: str) -> bool:
        failing.extend([prompt] if not failing else [])
        return model == "teacher" and prompt == failing[0]

    in_process(fails)
    models = load_result(evaluate(small))["metrics"]["models"]
    assert len(models["teacher"]["failed"]) == 1
    assert models["teacher"]["figures"]["one object, all right"] <= 0.5
    assert models["teacher"]["raw"]["temporal flickering"] <= 0.75


def test_where_every_video_fails_the_run_fails_and_tries_again(
    small: Settings, in_process: Callable[..., list[str]]
) -> None:
    in_process(lambda model, prompt: model == "student")
    with pytest.raises(RuntimeError, match="student could make no video; the first error: ValueError"):
        evaluate(small)
    log = in_process(lambda model, prompt: False)
    assert load_result(evaluate(small))["state"] == "finished"
    assert log == [f"student {number:04d}" for number in range(4)]


@pytest.mark.slow
def test_an_interrupted_evaluation_goes_on_where_it_was(
    small: Settings, ray_cluster: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load_result(evaluate(small))
    rows = sorted((tmp_path / "evaluate").rglob("rows/*.jsonl"))
    lines = rows[0].read_text().splitlines()
    # As a killed process leaves it: two results, and half of a third.
    rows[0].write_text("\n".join(lines[:2]) + "\n" + lines[2][:40])
    made: list[str] = []
    stream = generation._stream
    monkeypatch.setattr(
        generation,
        "_stream",
        lambda m, s, r, b: (made.extend(x.id for x in r), stream(m, s, r, b))[1],
    )
    again = load_result(evaluate(small))
    assert len(made) == 2
    assert again["metrics"] == first["metrics"]
    assert [json.loads(line)["id"] for line in rows[0].read_text().splitlines()[:2]] == [
        json.loads(line)["id"] for line in lines[:2]
    ]


def test_rows_with_values_that_cannot_be_are_refused(
    small: Settings, in_process: Callable[..., list[str]], tmp_path: Path
) -> None:
    in_process(lambda model, prompt: False)
    evaluate(small)
    file = next((tmp_path / "evaluate").rglob("rows/teacher-*.jsonl"))
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    for value, message in ((float("nan"), "is nan"), (1.7, "outside its range")):
        rows[2]["values"]["color"] = value
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        with pytest.raises(ValueError, match=rf"teacher, video {rows[2]['id']}: color {message}|color is"):
            evaluate(small)
    del rows[2]["values"]["color"]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(ValueError, match=f"teacher, video {rows[2]['id']}: color was not measured"):
        evaluate(small)


def test_a_folder_without_a_pipeline_is_bad_input(tmp_path: Path) -> None:
    models = (EvaluatedModel(name="mine", path=str(tmp_path)),)
    with pytest.raises(InputError, match="mine: there is no pipeline in"):
        evaluate(Settings(storage=tmp_path, evaluate=EvaluateSettings(models=models)))


def test_a_model_without_the_decoder_is_bad_input(tiny_pipelines: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_pipelines["student"], tmp_path / "student")
    shutil.rmtree(folder / "decoder")
    section = EvaluateSettings(models=(EvaluatedModel(name="mine", path=str(folder)),))
    with pytest.raises(InputError, match=r"mine: .* has no small decoder"):
        resolve_models(Settings(storage=tmp_path, evaluate=section))
    full = section.model_copy(update={"few_step_decoder": "full"})
    (model,) = resolve_models(Settings(storage=tmp_path, evaluate=full))
    assert model.parameters.decoder == "full"


def test_models_with_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="distinct names"):
        EvaluateSettings(models=(EvaluatedModel(name="a", path="x"), EvaluatedModel(name="a", path="y")))


def test_too_few_frames_or_prompts_of_another_world_are_bad_input(small: Settings, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"evaluate.num_frames=8: the suite shapes .* at least 16 frames"):
        evaluate(changed(small, num_frames=8))
    file = tmp_path / "mine.jsonl"
    file.write_text('{"prompt": "a dog"}\n')
    with pytest.raises(InputError, match=r"shapes cannot judge the prompt 'a dog'.*evaluate.suite=prompts"):
        evaluate(changed(small, suite="shapes", prompts=file))
    with pytest.raises(InputError, match=r"no prompts of its own.*evaluate.prompts=FILE"):
        evaluate(changed(small, suite="vbench"))
