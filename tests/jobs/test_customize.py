"""A folder of clips to a style, by the command."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hummingbird.config.footage import FootageSettings
from hummingbird.models.pipeline import load_pipeline
from hummingbird.shapes.footage import make_footage

JOB = Path(__file__).parents[2] / "jobs" / "customize.py"


def customize(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, str(JOB), *arguments], capture_output=True, text=True, check=False)


def test_clips_must_be_named(tmp_path: Path) -> None:
    done = customize("--storage", str(tmp_path / "runs"))
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "error: name the folder of your clips: --clips FOLDER"


@pytest.mark.slow
def test_a_folder_of_clips_becomes_a_style_that_the_model_loads(tmp_path: Path) -> None:
    make_footage(
        tmp_path / "clips",
        FootageSettings(files=12, broken=0, copies=0, short=0, defects={}, shots=(2, 2), processes=1),
    )
    storage = tmp_path / "runs"
    done = customize(
        *("--storage", str(storage), "--clips", str(tmp_path / "clips"), "--trigger", "drawn"),
        *("--student", "shapes-student", "--name", "mine", "customize.steps=2", "training.workers=1"),
        *("customize.prior_videos=2", "customize.judge=shapes_image", "customize.judged_videos=1"),
        "customize.lora.rank=2",
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(Path(done.stdout.splitlines()[-1]).read_text())
    assert {"base", "styled"} <= set(result["metrics"])
    assert -1 <= result["metrics"]["styled"]["style"] <= 1
    assert sorted(path.name for path in Path(result["outputs"]["videos"]).iterdir()) == [
        "base-0.mp4",
        "styled-0.mp4",
    ]
    pipeline = load_pipeline("shapes-student")
    pipeline.load_lora_weights(result["outputs"]["adapter"], adapter_name="mine")
    assert pipeline.get_list_adapters() == ["mine"]
    training = json.loads(Path(result["outputs"]["results"]["training"]).read_text())
    assert {"style", "prior"} <= set(training["metrics"]["last"])
    assert (storage / "styles" / "mine" / "catalog.db").is_file()
