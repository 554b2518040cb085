"""The compiled package: same videos as the eager pipeline, and clear refusals."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hummingbird.compiling import package
from hummingbird.compiling.compile import compile_pipeline, package_inputs
from hummingbird.compiling.package import (
    CompiledPipeline,
    Manifest,
    check_machine,
    is_package,
    part_names,
    read_package_manifest,
)
from hummingbird.compiling.parts import chosen_decoders
from hummingbird.config.compile import CompileSettings
from hummingbird.core.errors import InputError
from hummingbird.models.scheduler import VideoScheduler
from hummingbird.models.video import seeded_generators
from tiny_student import tiny_student

FRAMES = 4


def manifest(**changes: Any) -> Manifest:
    fields: dict[str, Any] = {
        "name": "tiny",
        "model_id": None,
        "weights_hash": "0" * 64,
        "parameters": 1,
        "device": "cpu",
        "device_name": "a processor",
        "capability": package.device_capability("cpu"),
        "torch_version": torch.__version__,
        "precision": "float32",
        "decoders": ("small",),
        "max_batch_size": 2,
        "num_frames": FRAMES,
        "settings_hash": "0" * 64,
        "configs": {},
        "parts": {},
    }
    return Manifest(**fields | changes)


def test_this_machine_runs_what_it_compiled() -> None:
    check_machine(manifest())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"torch_version": "1.0.0"}, r"torch 1\.0\.0.*compile it again"),
        ({"capability": ["avx9000"]}, r"a processor; this machine lacks avx9000: compile it again"),
    ],
)
def test_a_package_of_another_machine_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_machine(manifest(**changes))


def test_a_folder_without_a_package_is_refused(tmp_path: Path) -> None:
    assert not is_package(tmp_path)
    with pytest.raises(InputError, match="no compiled package"):
        CompiledPipeline.load(tmp_path)


def test_a_manifest_of_another_version_is_refused(tmp_path: Path) -> None:
    fields = manifest().model_dump() | {"schema_version": 5}
    (tmp_path / "manifest.json").write_text(json.dumps(fields))
    with pytest.raises(InputError, match="compile the model again"):
        read_package_manifest(tmp_path)


def test_a_package_of_version_2_says_its_sampling_in_todays_words(tmp_path: Path) -> None:
    scheduler = {"timesteps": 1000, "steps": 4, "guidance": 2.0, "prediction": "velocity", "phases": 4}
    configs = {"unet": {"guidance_size": 64}, "scheduler": scheduler}
    fields = manifest(configs=configs).model_dump() | {"schema_version": 2, "decoder": "full"}
    del fields["decoders"]
    (tmp_path / "manifest.json").write_text(json.dumps(fields))
    own = read_package_manifest(tmp_path).configs["scheduler"]
    assert (own["sampling"], own["guidance_scale"], own["num_inference_steps"]) == ("phased", 3.0, 4)


def test_a_package_of_version_3_has_its_one_decoder(tmp_path: Path) -> None:
    fields = manifest().model_dump() | {"schema_version": 3, "decoder": "full"}
    del fields["decoders"]
    (tmp_path / "manifest.json").write_text(json.dumps(fields))
    own = read_package_manifest(tmp_path)
    assert (own.decoders, part_names(own)) == (("full",), ["text_encoder", "unet", "decoder"])


def test_both_decoders_of_a_pipeline_that_has_one_are_that_one() -> None:
    pipeline = tiny_student()
    assert chosen_decoders(pipeline, "both") == ("small", "full")
    pipeline.decoder = None
    assert chosen_decoders(pipeline, "both") == ("full",)


def test_a_package_depends_on_how_its_model_is_sampled() -> None:
    first, second = tiny_student(), tiny_student()
    assert package_inputs(first, "cpu") == package_inputs(second, "cpu")
    second.scheduler = VideoScheduler(guidance_scale=3.0)
    assert package_inputs(first, "cpu") != package_inputs(second, "cpu")


@pytest.mark.slow
def test_the_compiled_student_makes_the_eager_students_videos(tmp_path: Path) -> None:
    settings = CompileSettings(max_batch_size=2, num_frames=FRAMES, decoder="both")
    messages: list[str] = []
    eager = tiny_student()
    manifest = compile_pipeline(eager, tmp_path / "package", settings, "tiny", log=messages.append)
    assert len(messages) == 4
    assert [path.name for path in tmp_path.iterdir()] == ["package"]
    assert set(manifest.parts) == {"unet", "text_encoder", "decoder", "decoder_full"}

    compiled = CompiledPipeline.load(tmp_path / "package")
    assert compiled.manifest == manifest
    prompts = ["red circle", "circle", ""]
    options: dict[str, Any] = {"num_inference_steps": 2, "guidance_scale": 3.0}
    for decoder in ("small", "full"):
        options["decoder"] = decoder
        expected = eager(prompts, generator=seeded_generators((1, 2, 3)), num_frames=FRAMES, **options).frames
        # Three videos in passes of at most two.
        videos = compiled(prompts, generator=seeded_generators((1, 2, 3)), **options).frames
        assert videos.shape == expected.shape == (3, FRAMES, 16, 16, 3)
        np.testing.assert_allclose(videos, expected, atol=1 / 255)
        assert not np.array_equal(videos[0], videos[1])

    with pytest.raises(ValueError, match="compile again with other"):
        compiled("red", num_frames=8)
    with pytest.raises(NotImplementedError, match="copy the package's folder"):
        compiled.save_pretrained(tmp_path / "saved")


def test_a_pipeline_without_a_small_decoder_is_refused_before_anything_is_compiled(tmp_path: Path) -> None:
    pipeline = tiny_student()
    pipeline.decoder = None
    with pytest.raises(InputError, match=r"compile\.decoder=full"):
        compile_pipeline(pipeline, tmp_path / "package", CompileSettings(), "tiny")
    assert list(tmp_path.iterdir()) == []
