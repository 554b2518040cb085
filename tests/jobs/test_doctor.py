"""The doctor: what is there, what is missing, and what to do about it."""

import subprocess
import sys
from pathlib import Path

import pytest
from hummingbird.config.cluster import CatalogSettings
from hummingbird.config.loading import load_settings
from hummingbird.config.settings import Settings
from hummingbird_jobs.doctor.finding import Check
from hummingbird_jobs.doctor.machine import check_disk
from hummingbird_jobs.doctor.models import check_imports, check_models
from hummingbird_jobs.doctor.places import check_catalog, check_storage
from hummingbird_jobs.recipes import load_recipe
from hummingbird_jobs.rehearsal.rehearse import rehearsal_of


def states(check: Check, settings: Settings) -> list[tuple[str, str]]:
    return [(finding.state, finding.what) for finding in check(settings)]


@pytest.fixture
def rehearsed(tmp_path: Path) -> Settings:
    recipe = load_settings(None, [f"storage={tmp_path / 'runs'}"], load_recipe("videocrafter2-0.7b"))
    return rehearsal_of(recipe, tmp_path / "models")[0]


def test_whole_files_are_found_whole_without_loading_them(rehearsed: Settings) -> None:
    assert states(check_imports, rehearsed) == [
        ("ok", "import_checkpoint"),
        ("ok", "import_checkpoint"),
        ("ok", "models.quality"),
        ("note", "models.quality"),
        ("ok", "feedback.rewards.image_text.model"),
        ("ok", "feedback.rewards.image_text.model"),
    ]
    assert {name for state, name in states(check_models, rehearsed) if state == "ok"} == {
        "models.captioner",
        "feedback.rewards.video_text.model",
    }


def test_a_file_that_lacks_a_tensor_a_file_that_is_not_there_and_a_licence_are_named(
    rehearsed: Settings,
) -> None:
    import torch

    path = rehearsed.line.imports[0].checkpoint
    assert path is not None
    state = torch.load(path)
    first, *rest = state
    torch.save({name: state[name] for name in rest}, path)
    Path(str(rehearsed.import_checkpoint.tokenizer)).rename(path.with_name("moved"))
    curate = rehearsed.curate.model_copy(update={"allow_noncommercial": False})
    findings = list(check_imports(rehearsed.model_copy(update={"curate": curate})))
    missing = [finding.detail for finding in findings if finding.state == "missing"]
    assert "there is nothing at" in missing[0]
    assert f"entries of DOVER are missing: {first}" in missing[1]
    assert "allow_noncommercial=false" in missing[2]


def test_storage_and_catalog_are_tried(tmp_path: Path) -> None:
    tables = {
        "type": "sql",
        "uri": f"sqlite:///{tmp_path / 'tables.db'}",
        "warehouse": f"file://{tmp_path / 'tables'}",
    }
    place = Settings(storage=f"local://{tmp_path / 'runs'}", catalog=CatalogSettings(properties=tables))  # type: ignore[arg-type]
    assert states(check_storage, place) == [("ok", "storage")]
    assert states(check_catalog, place) == [("ok", "catalog")]
    assert not list((tmp_path / "runs").glob(".doctor-*"))
    assert states(check_disk, Settings(storage=tmp_path / "new")) == [("ok", "disk")]


def test_what_is_missing_ends_with_code_1(tmp_path: Path) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("line: {verbs: [curate]}\ntraining: {device: cpu}\nevaluate: {prompts: /nowhere}\n")
    job = Path(__file__).parents[2] / "jobs" / "doctor.py"
    command = [sys.executable, str(job), "--recipe", str(recipe), "--storage", str(tmp_path / "runs")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "missing evaluate.prompts: /nowhere is not there" in done.stdout
    assert "missing curate.source: no footage is named: curate.source=PLACE" in done.stdout
    assert done.stdout.endswith(f"2 missing for {recipe}\n")
