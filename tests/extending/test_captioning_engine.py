"""An engine from outside the packages writes captions, and rows and results name it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hummingbird.config.loading import load_settings
from hummingbird.core.errors import InputError
from hummingbird.lake.lake import Lake
from hummingbird.shapes.footage import make_footage
from hummingbird_data.curate import curate

HERE = Path(__file__).parent
JOB = HERE.parents[1] / "jobs" / "curate.py"
ENGINE = "color_engine:ColorEngine"


@pytest.mark.slow
def test_an_engine_is_chosen_by_its_import_path_with_its_settings(tmp_path: Path) -> None:
    make_footage(tmp_path / "footage", load_settings(overrides=["footage.files=12"]).footage)
    done = subprocess.run(
        [
            sys.executable, str(JOB), "--storage", str(tmp_path / "runs"), "--source", str(tmp_path / "footage"),
            "curate.engine=plain", "curate.technical=weightless", "curate.caption_share=1", "ray.num_cpus=1",
            "models.captioner=palette", f"curate.caption_engine={{{ENGINE}: {{noun: place}}}}",
        ],
        env={**os.environ, "PYTHONPATH": f"{HERE}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    metrics = json.loads(Path(done.stdout.splitlines()[-1]).read_text(encoding="utf-8"))["metrics"]
    assert metrics["caption_engine"] == ENGINE
    assert metrics["licences"] == {"captioner": "apache-2.0"}
    settings = load_settings(overrides=[f"storage={tmp_path / 'runs'}"])
    rows = [row for row in Lake.open(settings).read("clips").to_pylist() if row["verdict"] == "kept"]
    assert rows
    for row in rows:
        assert row["caption"].startswith("a place that is mostly ")
        assert (row["caption_engine"], row["caption_model"]) == (ENGINE, "palette")
        assert row["frames_hash"]


def test_a_typo_in_its_settings_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"")
    overrides = [f"storage={tmp_path}", f"curate.source={tmp_path}", "models.captioner=palette"]
    for choice, problem in ((f"{{{ENGINE}: {{nuon: a}}}}", "'noun'"), ("htpp", "'http'")):
        with pytest.raises(InputError, match=f"curate.caption_engine.*did you mean {problem}"):
            curate(load_settings(overrides=[*overrides, f"curate.caption_engine={choice}"]))
