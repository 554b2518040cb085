"""The benchmark of curation: its figures follow from what its runs measured; memory is looked at while they run."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hummingbird.benchmarks import curation as module
from hummingbird.config.settings import Settings
from hummingbird.core.background import every
from hummingbird.core.errors import InputError


def measured(settings: Settings, source: Path, workers: int | None) -> dict[str, Any]:
    files = len(list(source.glob("*.mp4")))
    return {
        "files": files, "clips": 2 * files, "seconds": files * (4.0 if workers is None else 6.0 / workers),
        "clips_per_second": 1.0, "stages": {"read": 1.0}, "decoding": 0.5, "driver_mib": 300.0,
        "private_mib": 900.0 + files,
    }  # fmt: skip


def test_its_figures_follow_from_the_runs(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def draw(folder: Path, footage: Any) -> None:
        folder.mkdir(parents=True)
        for number in range(footage.files):
            (folder / f"video-{number:04d}.mp4").write_bytes(b"x")

    monkeypatch.setattr(module, "make_footage", draw)
    monkeypatch.setattr(module, "_cores", lambda: [0, 1])
    monkeypatch.setattr(
        module, "_time", lambda folder, s, source, workers=None, first=0: measured(s, source, workers)
    )
    metrics = json.loads(module.curate_benchmark(settings).read_text())["metrics"]
    assert list(metrics["contestants"]) == ["plain", "1 worker", "2 workers"]
    assert metrics["speedup"] == pytest.approx({"plain": 1.0, "1 worker": 4 / 6, "2 workers": 4 / 3})
    assert metrics["ceiling"] == {"2": 2.0}
    assert metrics["memory"]["1x"]["files"] == settings.curate_benchmark.growth_files
    assert metrics["memory"]["10x"]["files"] == 10 * settings.curate_benchmark.growth_files


def test_more_workers_than_cores_are_refused(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_cores", lambda: [0])
    with pytest.raises(InputError, match="there are 1 cores"):
        module.curate_benchmark(settings)


def test_the_peak_is_of_a_process_and_its_children() -> None:
    grab = "import time; held = bytearray(300 << 20); time.sleep(1.5)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {grab!r}])"
    process = subprocess.Popen([sys.executable, "-c", code])
    peak = module._Peak(process.pid)
    with every(0.05, peak.look, "memory"):
        process.wait()
    assert 300 < peak.mib < 500
