"""A suite from outside the packages, used by the verb through settings, and named in its result."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
JOB = HERE.parents[1] / "jobs" / "evaluate.py"


@pytest.mark.slow
def test_a_suite_is_chosen_by_its_import_path_with_its_settings(
    tiny_pipelines: dict[str, Path], tmp_path: Path
) -> None:
    suite = "brightness_suite:BrightnessSuite"
    done = subprocess.run(
        [
            sys.executable, str(JOB), "--storage", str(tmp_path), "--prompts", "2",
            f"evaluate.suite={{'{suite}': {{least: 0.4}}}}", "evaluate.num_frames=4",
            f"models.teacher={tiny_pipelines['teacher']}", f"models.student={tiny_pipelines['student']}",
            "evaluate.num_inference_steps=1", "evaluate.few_step_inference_steps=1", "ray.num_cpus=1",
        ],
        env={**os.environ, "PYTHONPATH": f"{HERE}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    metrics = json.loads(Path(done.stdout.splitlines()[-1]).read_text(encoding="utf-8"))["metrics"]
    assert (metrics["suite"]["name"], metrics["suite"]["settings"]) == (suite, {"least": 0.4})
    for model in metrics["models"].values():
        assert model["raw"]["brightness"] == 0.5  # untrained models make all rooms alike
        assert model["total"]["value"] == 0.5
    assert "total" in done.stdout
