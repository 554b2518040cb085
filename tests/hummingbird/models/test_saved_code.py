"""A saved folder brings its code: plain diffusers loads it without this package and makes the same videos."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hummingbird.models.pipeline import TextToVideoPipeline, load_pipeline
from hummingbird.models.unet import VideoUNet
from hummingbird.models.video import seeded_generators

OPTIONS: dict[str, Any] = {"num_inference_steps": 2, "num_frames": 3}
PROMPTS = ["red", "blue"]

# Isolated, and with every finder of an editable install out of the way, this package cannot be imported.
STRANGER = """
import importlib.util, json, sys
import numpy as np
from pathlib import Path

sys.path[:] = [entry for entry in sys.path if not (Path(entry) / "hummingbird").is_dir()]
sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in repr(finder).lower()]
assert importlib.util.find_spec("hummingbird") is None, "the package is still importable"

import torch
from diffusers import DiffusionPipeline

folder, out, options, prompts = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), json.loads(sys.argv[4])
pipe = DiffusionPipeline.from_pretrained(folder, trust_remote_code=True)
pipe.set_progress_bar_config(disable=True)
made = {}
for kind in ("np", "pt", "pil", "latent"):
    for name in ("one", "list"):
        generators = [torch.Generator().manual_seed(seed) for seed in (1, 2)]
        generator = generators[0] if name == "one" else generators
        frames = pipe(prompts, generator=generator, output_type=kind, **options).frames
        if kind == "pil":
            frames = np.stack([np.stack([np.asarray(image) for image in video]) for video in frames])
        made[f"{kind}_{name}"] = np.asarray(frames)
np.savez(out, **made)
pipe.save_pretrained(out + ".again")
assert not any(name.partition(".")[0] == "hummingbird" for name in sys.modules)
"""


def stranger(folder: Path, out: Path) -> dict[str, np.ndarray]:
    script = out.with_suffix(".py")
    script.write_text(STRANGER, encoding="utf-8")
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment |= {"HF_HOME": str(out.parent / "cache"), "HF_HUB_OFFLINE": "1"}
    command = [
        sys.executable,
        "-I",
        str(script),
        str(folder),
        str(out),
        json.dumps(OPTIONS),
        json.dumps(PROMPTS),
    ]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Expected types" not in done.stderr
    return dict(np.load(out))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["teacher", "student"])
def test_a_stranger_loads_a_saved_folder_and_makes_the_same_videos(
    name: str, tiny_pipelines: dict[str, Path], tmp_path: Path
) -> None:
    pipeline = load_pipeline(tiny_pipelines[name])
    reloaded = stranger(tiny_pipelines[name], tmp_path / "made.npz")
    for kind in ("np", "pt", "pil", "latent"):
        generators = seeded_generators((1, 2))
        for how, generator in (("one", torch.Generator().manual_seed(1)), ("list", generators)):
            frames: Any = pipeline(PROMPTS, generator=generator, output_type=kind, **OPTIONS).frames
            if kind == "pil":
                frames = np.stack([np.stack([np.asarray(image) for image in video]) for video in frames])
            np.testing.assert_array_equal(
                reloaded[f"{kind}_{how}"], np.asarray(frames), err_msg=f"{kind} {how}"
            )
    # What the stranger saved loads again, here and there.
    again = tmp_path / "made.npz.again"
    assert load_pipeline(again).few_steps == pipeline.few_steps
    for kind, frames in stranger(again, tmp_path / "again.npz").items():
        np.testing.assert_array_equal(frames, reloaded[kind])


def test_a_saved_folder_names_the_code_beside_it(tiny_pipelines: dict[str, Path]) -> None:
    folder = tiny_pipelines["student"]
    index = json.loads((folder / "model_index.json").read_text())
    named = {"_class_name": index["_class_name"], "unet": index["unet"], "scheduler": index["scheduler"]}
    for component, (module, kind) in named.items():
        home = folder if component == "_class_name" else folder / component
        code = (home / f"{module}.py").read_text(encoding="utf-8")
        assert f"class {kind}(" in code
        assert "hummingbird." not in code.replace("hummingbird.load_pipeline", "")
    assert index["vae"] == ["diffusers", "AutoencoderKL"]


def test_our_own_class_loads_a_folder_without_running_the_code_in_it(
    tiny_pipelines: dict[str, Path],
) -> None:
    pipeline = TextToVideoPipeline.from_pretrained(tiny_pipelines["student"])
    assert type(pipeline) is TextToVideoPipeline
    assert type(pipeline.unet) is VideoUNet


def test_pushing_uploads_the_folder_with_its_code(
    tiny_pipelines: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from diffusers.utils import hub_utils
    from huggingface_hub import ModelCard

    uploaded: dict[str, set[str]] = {}

    class Repository:
        repo_id = "someone/fast-video"

    def upload(self: object, folder: str, repo_id: str, **_: Any) -> str:
        home = Path(folder)
        uploaded[repo_id] = {path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()}
        return "a commit"

    monkeypatch.setattr(hub_utils, "create_repo", lambda *args, **kwargs: Repository())
    monkeypatch.setattr(hub_utils, "load_or_create_model_card", lambda *args, **kwargs: ModelCard("a card"))
    monkeypatch.setattr(hub_utils, "populate_model_card", lambda card: card)
    monkeypatch.setattr(TextToVideoPipeline, "_upload_folder", upload)
    load_pipeline(tiny_pipelines["student"]).push_to_hub("someone/fast-video")
    files = uploaded["someone/fast-video"]
    assert {
        "README.md",
        "model_index.json",
        "pipeline_text_to_video.py",
        "unet/unet.py",
        "unet/layers.py",
    } <= files
    assert {"scheduler/scheduler.py", "scheduler/scheduler_config.json"} <= files
