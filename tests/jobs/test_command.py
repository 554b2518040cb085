"""The command hummingbird: the same verbs as the scripts in jobs/, also from a wheel."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hummingbird_jobs.verbs import VERBS, main

ROOT = Path(__file__).parents[2]


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        main(words)
    out, err = capsys.readouterr()
    assert isinstance(caught.value.code, int)
    return caught.value.code, out, err


def test_there_is_a_script_for_every_verb() -> None:
    scripts = {path.stem: path.read_text() for path in (ROOT / "jobs").glob("*.py")}
    assert "submission import main" in scripts.pop("submit")
    assert set(scripts) == set(VERBS)
    for name, text in scripts.items():
        assert f'run("{name}")' in text


def test_help_lists_every_verb_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--help")
    assert code == 0
    for name in VERBS:
        assert re.search(rf"^  {name} +\S.+\.$", out, re.MULTILINE)
    assert run(capsys)[0] == 2


def test_a_verb_has_the_same_command_line_as_its_script(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "curate", "--help")
    assert code == 0
    assert out.startswith("usage: hummingbird curate ")
    assert "--source" in out
    code, out, _ = run(capsys, "benchmark", "unet", "--help")
    assert code == 0
    assert out.startswith("usage: hummingbird benchmark unet ")


def test_an_unknown_verb_suggests_the_closest(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "distil")[::2] == (2, "error: there is no verb 'distil'; did you mean 'distill'?\n")
    assert run(capsys, "import-checkpoint")[2].endswith("did you mean 'import_checkpoint'?\n")
    assert "--help lists them" in run(capsys, "zzz")[2]


def test_a_recipe_is_the_default_that_the_command_line_overrides(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "line", "--recipe", "shapes-ci", "--print-settings", "evaluate.prompts=6")
    assert code == 0
    assert "files: 24" in out
    assert "prompts: 6" in out
    code, _, err = run(capsys, "line")
    assert (code, err) == (2, "error: name a recipe: --recipe shapes-quick, or a YAML file\n")


@pytest.mark.slow
def test_a_wheel_installs_the_command_with_its_recipes(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name in ("platform", "data", "serve", "jobs"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", tmp_path, source], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "hummingbird_jobs/recipes/shapes-ci.yaml" in names
    assert "hummingbird_jobs/recipes/lines/shapes.yaml" in names
    assert {name.partition("/")[0] for name in names if ".dist-info" not in name} == {
        "hummingbird",
        "hummingbird_data",
        "hummingbird_jobs",
        "hummingbird_serve",
    }
    installed = tmp_path / "installed"
    subprocess.run([*pip, "install", "--no-deps", "--target", installed, wheel], check=True)
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [str(installed / "bin" / "hummingbird")]
    settings = subprocess.run(
        [*command, "line", "--recipe", "shapes-ci", "--print-settings"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "files: 24" in settings
    done = subprocess.run(
        [*command, "distil"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "did you mean 'distill'" in done.stderr
