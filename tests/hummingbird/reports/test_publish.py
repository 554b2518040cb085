"""Publishing: a folder that loads by itself, with a card of what was measured of these very weights."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub import ModelCard
from hummingbird.config.publish import PublishSettings
from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.evaluation.evaluated_models import pipeline_hash
from hummingbird.lake.runs import load_result, open_run
from hummingbird.reports import publish as verb
from hummingbird.reports.publish import check_folder, publish


def interval(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.02, "high": value + 0.02}


def measured(hashes: dict[str, str]) -> dict[str, Any]:
    """As `evaluate` leaves it."""

    def model(total: float, **changed: Any) -> dict[str, Any]:
        dimensions = {"color": interval(0.4), "motion": interval(0.9)}
        scored = {"total": interval(total), "parts": {"quality": interval(0.8)}, "dimensions": dimensions}
        return {**scored, "differences": {}, "failed": [], **changed}

    stamp = {
        "num_inference_steps": 4, "guidance_scale": 7.5, "decoder": "small", "num_frames": 16, "precisions": ["fp32"],
        "devices": ["a CPU"], "description": "4 steps, guidance 7.5, one pass a step, small decoder",
    }  # fmt: skip
    failed = [{"id": "1", "prompt": "x", "seed": 1, "error": "no"}]
    student = model(0.79, differences={"color": interval(-0.1)}, failed=failed)
    return {
        "models": {"teacher": model(0.83), "student": student},
        "suite": {"name": "shapes", "version": 1, "parts": {"quality": 1.0}},
        "stamps": {name: {**stamp, "weights_hash": value} for name, value in hashes.items()},
        "prompts": 24,
        "videos": 24,
        "missing": {"scene": "is measured with nothing"},
    }


@pytest.fixture
def student(tiny_pipelines: dict[str, Path], tmp_path: Path) -> Settings:
    section = PublishSettings(
        model=str(tiny_pipelines["student"]),
        licence="apache-2.0",
        repo="me/small-student",
        base_model="me/teacher",
    )
    return Settings(storage=tmp_path, publish=section)


def changed(settings: Settings, **values: Any) -> Settings:
    return settings.model_copy(update={"publish": settings.publish.model_copy(update=values)})


def test_the_folder_loads_by_itself_and_its_card_is_of_what_was_measured(
    student: Settings, tiny_pipelines: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("a dry run asks the Hub nothing")

    monkeypatch.setattr(verb, "HfApi", refuse)
    hashes = {name: pipeline_hash(folder, "small") for name, folder in tiny_pipelines.items()}
    with open_run(student, "evaluate") as run:
        run.metrics.update(measured(hashes))
    result = load_result(publish(student))
    folder = Path(result["outputs"]["upload"])
    assert (folder / "unet" / "diffusion_pytorch_model.safetensors").is_file()
    assert result["metrics"]["video"] == "(2, 64, 64, 3)"
    assert (result["metrics"]["evaluated"], result["metrics"]["uploaded"]) == (True, False)
    card = ModelCard.load(folder / "README.md")
    assert card.data.to_dict()["license"] == "apache-2.0"
    assert (card.data.base_model, card.data.pipeline_tag) == ("me/teacher", "text-to-video")
    scores = {one.metric_name: one.metric_value for one in card.data.eval_results}
    assert scores == {"total": 79.0, "quality": 80.0, "color": 40.0, "motion": 90.0}
    for words in (
        'from_pretrained("me/small-student", trust_remote_code=True)',
        "num_inference_steps=4",
        "| total | 79.0 [77.0, 81.0] | 83.0 [81.0, 85.0] |",
        "Weakest in color (40.0)",
        "Worse than teacher in color",
        "1 of 24 videos could not be made",
        "Not measured: scene.",
    ):
        assert words in card.text
    code = card.text.split("```python\n")[1].split("```")[0]
    compile(code, "card", "exec")


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the process that loads the folder, which takes seconds."""
    monkeypatch.setattr(verb, "check_folder", lambda folder, decoder: "unchecked")


def test_without_an_evaluation_the_card_says_so(student: Settings, unchecked: None) -> None:
    with open_run(student, "evaluate") as run:
        run.metrics.update(measured({"teacher": "others", "student": "others"}))
    result = load_result(publish(changed(student, licence="Some Licence 1.0")))
    card = ModelCard.load(Path(result["outputs"]["upload"]) / "README.md")
    assert "No evaluation of these weights is recorded." in card.text
    assert card.data.eval_results is None
    assert (card.data.license, card.data.license_name) == ("other", "Some Licence 1.0")


def test_it_is_uploaded_where_asked(
    student: Settings, unchecked: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, str, Any]] = []

    def upload(repo_id: str, folder_path: Path, commit_message: str) -> None:
        calls.append(("upload", repo_id, sorted(path.name for path in folder_path.iterdir())))

    def create(repo: str, private: bool, exist_ok: bool) -> None:
        calls.append(("create", repo, private))

    api = SimpleNamespace(create_repo=create, upload_folder=upload)
    monkeypatch.setattr(verb, "HfApi", lambda: api)
    assert load_result(publish(changed(student, upload=True)))["metrics"]["uploaded"]
    assert calls[0] == ("create", "me/small-student", True)
    assert {"README.md", "model_index.json", "unet"} <= set(calls[1][2])


def test_what_cannot_be_published_is_refused(student: Settings, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"publish\.repo=OWNER/NAME"):
        publish(changed(student, upload=True, repo=None))
    with pytest.raises(InputError, match=r"set publish\.licence"):
        publish(changed(student, licence=None))
    with pytest.raises(InputError, match="there is no pipeline in"):
        publish(changed(student, model=str(tmp_path)))
    with pytest.raises(InputError, match="no finished run of feedback"):
        publish(changed(student, model=None))


def test_a_folder_that_does_not_load_is_an_error_that_says_why(
    tiny_pipelines: dict[str, Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_pipelines["student"], tmp_path / "student")
    index = json.loads((folder / "model_index.json").read_text())
    del index["scheduler"]
    (folder / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(RuntimeError, match="does not load by itself: "):
        check_folder(folder, "small")
