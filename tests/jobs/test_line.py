"""The line: what each verb hands to the next, with verbs that only write a result."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hummingbird.config.loading import load_settings
from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.core.files import as_path
from hummingbird.lake.lake import Lake
from hummingbird.lake.runs import load_result, open_run
from hummingbird_jobs.line import STEPS, line_metrics, run_line, run_verbs, students
from hummingbird_jobs.verbs import VERBS

OUTPUTS: dict[str, dict[str, Any]] = {
    "import_checkpoint": {"pipeline": "/imported"},
    "footage": {"footage": "/drawn/videos", "truth": "/drawn/truth"},
    "curate": {"snapshot_id": 7},
    "encode": {"cache": "/cache"},
    "decoder": {"pipeline": "/with-decoder"},
    "plan": {"plan": "/plan.yaml"},
    "prune": {"pipeline": "/pruned"},
    "distill": {"pipeline": "/distilled"},
    "feedback": {"pipeline": "/few-step", "model_id": "feedback-1"},
    "evaluate": {},
    "compile": {"package": "/package", "model_id": "package-1"},
    "benchmark": {},
}


@pytest.fixture
def called(tmp_path: Path) -> dict[str, Settings]:
    """The settings that each verb ran with."""
    return {}


@pytest.fixture
def functions(tmp_path: Path, called: dict[str, Settings]) -> dict[str, Callable[[Settings], Path]]:
    """Verbs that note their settings and write `OUTPUTS`."""

    def function(verb: str) -> Callable[[Settings], Path]:
        def run(settings: Settings) -> Path:
            called[verb] = settings
            path = tmp_path / f"{verb}.json"
            path.write_text(json.dumps({"verb": verb, "outputs": OUTPUTS[verb], "metrics": {}}))
            return path

        return run

    return {verb: function(verb) for verb in STEPS}


def test_every_step_is_a_verb() -> None:
    assert set(STEPS) <= set(VERBS)
    assert set(STEPS) == set(OUTPUTS)


def test_each_verb_takes_what_the_ones_before_made(
    functions: Mapping[str, Callable[[Settings], Path]], called: dict[str, Settings], tmp_path: Path
) -> None:
    verbs = ", ".join(STEPS)
    settings = load_settings(None, [f"storage={tmp_path}", f"line.verbs=[{verbs}]"])
    assert list(run_verbs(settings, functions)) == list(STEPS)
    own = list(STEPS).index("decoder") + 1
    assert {called[verb].models.teacher for verb in list(STEPS)[1:own]} == {"/imported"}
    assert {called[verb].models.teacher for verb in list(STEPS)[own:]} == {"/with-decoder"}
    assert called["decoder"].training.cache == Path("/cache")
    assert str(called["curate"].curate.source) == "/drawn/videos"
    assert called["encode"].encode.snapshot == 7
    assert called["plan"].plan.model == "/with-decoder"
    assert called["prune"].prune.plan == "/plan.yaml"
    assert called["prune"].models.student is None
    assert (called["distill"].training.cache, called["distill"].models.student) == (Path("/cache"), "/pruned")
    assert (called["feedback"].training.cache, called["feedback"].models.student) == (
        Path("/cache"),
        "/distilled",
    )
    models = {model.name: (model.path, model.guidance_scale) for model in called["evaluate"].evaluate.models}
    assert models == {
        "teacher": ("/with-decoder", None),
        "pruned": ("/pruned", None),
        "distilled": ("/distilled", 1.0),
        "feedback": ("/few-step", None),
    }
    assert called["compile"].compile.model == "/few-step"
    assert called["benchmark"].models.student == "/few-step"
    assert called["benchmark"].benchmark.student_package == Path("/package")


def test_further_imports_put_their_folders_into_their_settings(
    functions: dict[str, Callable[[Settings], Path]], called: dict[str, Settings], tmp_path: Path
) -> None:
    imported: list[str] = []

    def run(settings: Settings) -> Path:
        section = settings.import_checkpoint
        kind = {"dover": "quality", "open-clip": "reward"}.get(section.format, "pipeline")
        imported.append(section.format)
        path = tmp_path / f"import-{kind}.json"
        path.write_text(json.dumps({"outputs": {kind: f"/{kind}"}, "metrics": {}}))
        return path

    overrides = [
        "line.verbs=[import_checkpoint, curate, feedback]",
        "line.imports=[{format: dover, into: [models.quality, feedback.rewards.dover.model]}, "
        "{format: open-clip, into: [feedback.rewards.hps.model]}]",
        "feedback.rewards={hps: {weight: 1.0}}",
    ]
    settings = load_settings(None, [f"storage={tmp_path}", *overrides])
    paths = run_verbs(settings, {**functions, "import_checkpoint": run})
    assert imported == ["videocrafter2", "dover", "open-clip"]
    assert "import_checkpoint models.quality" in paths
    assert called["curate"].models.quality == "/quality"
    assert called["feedback"].feedback.rewards == {
        "hps": {"weight": 1.0, "model": "/reward"},
        "dover": {"model": "/quality"},
    }
    assert called["feedback"].models.teacher == "/pipeline"


def test_a_verb_may_have_settings_of_its_own(
    functions: Mapping[str, Callable[[Settings], Path]], called: dict[str, Settings], tmp_path: Path
) -> None:
    overrides = [
        "line.verbs=[distill, feedback]",
        "training.workers=3",
        "line.for_verb={feedback: {training: {max_grad_norm: 2.0}}}",
    ]
    run_verbs(load_settings(None, [f"storage={tmp_path}", *overrides]), functions)
    norms = {verb: called[verb].training.max_grad_norm for verb in called}
    assert norms == {"distill": 1.0, "feedback": 2.0}
    assert called["feedback"].training.workers == 3
    wrong = load_settings(None, ["line.verbs=[distill]", "line.for_verb={distill: {training: {worker: 2}}}"])
    with pytest.raises(InputError, match=r"did you mean 'training\.workers'"):
        run_verbs(wrong, functions)


def test_what_no_verb_made_comes_from_the_settings(
    functions: Mapping[str, Callable[[Settings], Path]], called: dict[str, Settings], tmp_path: Path
) -> None:
    overrides = [
        "line.verbs=[curate, distill, evaluate, compile]",
        "curate.source=/raw",
        "models.student=/mine",
    ]
    overrides += ["training.cache=/latents", "evaluate.models=[{name: only, path: x}]"]
    paths = run_verbs(load_settings(None, [f"storage={tmp_path}", *overrides]), functions)
    assert str(called["curate"].curate.source) == "/raw"
    assert called["distill"].models.student == "/mine"
    assert called["distill"].training.cache == Path("/latents")
    assert [model.name for model in called["evaluate"].evaluate.models] == ["only"]
    assert students({verb: load_result(path) for verb, path in paths.items()}) == {"distilled": "/distilled"}
    assert called["compile"].compile.model == "/distilled"


def test_places_at_a_uri_are_handed_on_as_such() -> None:
    results = {
        "encode": {"outputs": {"cache": "memory://x/cache"}},
        "compile": {"outputs": {"package": "memory://x/p"}},
    }
    settings = Settings()
    assert STEPS["distill"](settings, results).training.cache == as_path("memory://x/cache")
    assert STEPS["benchmark"](settings, results).benchmark.student_package == as_path("memory://x/p")


def test_a_verb_that_fails_ends_the_line_and_the_line_says_so(
    functions: dict[str, Callable[[Settings], Path]], settings: Settings
) -> None:
    def fail(settings: Settings) -> Path:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        run_line(settings, "mine", {**functions, "encode": fail})
    assert load_result(settings.storage / "line" / "mine" / "result.json")["state"] == "failed"


def test_the_result_names_student_package_report_and_results(settings: Settings, tmp_path: Path) -> None:
    def prune(settings: Settings) -> Path:
        with open_run(settings, "prune") as run:
            run.outputs["pipeline"] = run.folder / "pipeline"
            run.metrics.update(teacher_parameters=20, student_parameters=10)
            run.lake.add_model({"model_id": "pruned-1", "kind": "pruned"})
        return run.result_path

    def compiled(settings: Settings) -> Path:
        with open_run(settings, "compile") as run:
            run.outputs.update(package=run.folder / "package")
        return run.result_path

    chosen = load_settings(
        None, [f"storage={settings.storage}", "line.verbs=[distill, compile]", "line.folder=here"]
    )
    result = load_result(run_line(chosen, "mine", {"distill": _with_losses(prune), "compile": compiled}))
    assert result["verb"] == "line"
    assert set(result["outputs"]) == {"student", "package", "report", "results"}
    assert set(result["outputs"]["results"]) == {"distill", "compile"}
    page = Path(result["outputs"]["report"])
    assert page == settings.storage / "here" / "report.html"
    assert "Hummingbird: mine" in page.read_text()
    assert result["metrics"]["student_parameters"] == 10
    (row,) = (row for row in Lake.open(settings).read("runs").to_pylist() if row["verb"] == "line")
    assert json.loads(row["outputs"])["student"] == result["outputs"]["student"]


def _with_losses(function: Callable[[Settings], Path]) -> Callable[[Settings], Path]:
    def run(settings: Settings) -> Path:
        path = function(settings)
        result = json.loads(path.read_text())
        losses = path.with_name("losses.jsonl")
        losses.write_text('{"step": 1, "output": 0.5}\n{"step": 2, "output": 0.25}\n')
        result["outputs"]["losses"] = str(losses)
        path.write_text(json.dumps(result))
        return path

    return run


def test_metrics_are_those_of_the_verbs_that_ran() -> None:
    total = {"value": 0.5, "low": 0.4, "high": 0.6}
    results = {
        "curate": {"metrics": {"kept": 3, "dropped": 2, "quarantined": 1}},
        "prune": {"metrics": {"teacher_parameters": 20, "student_parameters": 10}},
        "evaluate": {"metrics": {"models": {"teacher": {"total": total}}, "prompts": 4}},
    }
    assert line_metrics(results) == {
        "teacher_parameters": 20,
        "student_parameters": 10,
        "total": {"teacher": 0.5},
        "total_interval": {"teacher": [0.4, 0.6]},
        "prompts": 4,
        "kept": 3,
        "dropped": 2,
        "quarantined": 1,
    }
