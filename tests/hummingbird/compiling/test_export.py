"""Exported files: same outputs and videos as the eager pipeline, in ONNX and in OpenVINO."""

from pathlib import Path

import numpy as np
import pytest
from hummingbird.compiling import export
from hummingbird.compiling.export import ExportedPipeline, export_model, export_pipeline
from hummingbird.compiling.package import part_names
from hummingbird.config.export import ExportSettings
from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.models.video import seeded_generators
from tiny_student import tiny_student

FRAMES = 4
PROMPTS = ["red circle", "circle"]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "tiny"
    settings = ExportSettings(num_frames=FRAMES, max_batch_size=2, repeats=1)
    manifest = export_pipeline(tiny_student(), folder, settings, "tiny")
    assert list(manifest.parts) == part_names(manifest)
    for runtimes in manifest.parts.values():
        assert set(runtimes) == {"eager", "onnx", "openvino"}
        assert all(row["megabytes"] > 0 and row["milliseconds"] > 0 for row in runtimes.values())
    return folder


@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_two_videos_at_once_are_the_eager_pipelines(exported: Path, runtime: str) -> None:
    eager = tiny_student()
    ours = ExportedPipeline.load(exported, runtime)
    arguments = {"num_inference_steps": 2, "output_type": "np"}
    expected = eager(
        PROMPTS, num_frames=FRAMES, decoder="small", generator=seeded_generators([1, 2]), **arguments
    )
    made = ours(PROMPTS, generator=seeded_generators([1, 2]), **arguments)
    assert np.abs(made.frames - expected.frames).max() < 1e-3


def test_a_runtime_that_was_not_exported_is_named(tmp_path: Path, exported: Path) -> None:
    text = (exported / export.MANIFEST).read_text().replace('"openvino"\n  ]', '"onnx"\n  ]')
    (tmp_path / export.MANIFEST).write_text(text)
    with pytest.raises(InputError, match="not for openvino"):
        ExportedPipeline.load(tmp_path, "openvino")


def test_a_folder_without_an_export_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no export in .*jobs/export\.py makes one"):
        ExportedPipeline.load(tmp_path, "onnx")


def test_a_runtime_whose_outputs_differ_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load = export.load_part
    monkeypatch.setattr(export, "load_part", lambda file, runtime: lambda *x: load(file, runtime)(*x) * 1.01)
    settings = ExportSettings(num_frames=FRAMES, max_batch_size=2, repeats=1, formats=("onnx",))
    with pytest.raises(RuntimeError, match="text_encoder in onnx differs"):
        export_pipeline(tiny_student(), tmp_path / "tiny", settings, "tiny")
    assert not list(tmp_path.iterdir()), "nothing is left"


def test_without_the_extra_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def none(package: str) -> str:
        raise ModuleNotFoundError(package)

    monkeypatch.setattr(export, "version", none)
    with pytest.raises(InputError, match=r"exporting needs onnx: pip install 'hummingbird\[export\]'"):
        export_model(Settings(storage=tmp_path))
