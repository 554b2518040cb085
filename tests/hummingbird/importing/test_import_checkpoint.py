"""The verb as a user calls it: a pipeline folder that works, recorded with licence and source."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, UNet3DConditionModel
from hummingbird.config.import_checkpoint import ImportCheckpointSettings
from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.importing.import_checkpoint import import_checkpoint
from hummingbird.lake.lake import Lake
from hummingbird.models.pipeline import load_pipeline
from transformers import CLIPTextConfig, CLIPTextModel

JOB = Path(__file__).parents[3] / "jobs" / "import_checkpoint.py"


def test_a_checkpoint_becomes_a_pipeline_that_makes_videos(
    tmp_path: Path, checkpoint: Path, reference: Path, vocabulary: Path
) -> None:
    storage = tmp_path / "runs"
    command = [sys.executable, str(JOB), "--storage", str(storage), "--checkpoint", str(checkpoint)]
    command += ["--tokenizer", str(vocabulary), f"import_checkpoint.reference={reference}"]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "licence" in refused.stderr
    assert "source" in refused.stderr
    done = subprocess.run(
        [*command, "--licence", "apache-2.0", "--source", "a test"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "betas" in done.stdout
    result = json.loads(Path(done.stdout.splitlines()[-1]).read_text())
    folder = Path(result["outputs"]["pipeline"])
    assert not list(folder.rglob("*.bin"))
    report = json.loads(Path(result["outputs"]["report"]).read_text())
    assert "betas" in report["unused"]
    (row,) = Lake.open(Settings(storage=storage)).read("models").to_pylist()
    assert (row["licence"], row["source"]) == ("apache-2.0", "a test")
    assert row["model_id"] == result["outputs"]["model_id"]

    pipeline = load_pipeline(folder)
    ids, mask = pipeline.tokenize(["Cat  cat!", ""])
    start, end = pipeline.tokenizer.bos_token_id, pipeline.tokenizer.eos_token_id
    cat, mark = pipeline.tokenizer.convert_tokens_to_ids(["cat</w>", "!</w>"])
    assert ids[0].tolist() == [start, cat, cat, mark, end] + [0] * 7
    assert bool(mask.all())  # OpenCLIP looks at the padding too
    video = pipeline("a cat", num_inference_steps=2, num_frames=3).frames
    assert video.shape == (1, 3, 32, 32, 3)


@pytest.fixture
def modelscope(tmp_path: Path, vocabulary: Path) -> Path:
    """A tiny text-to-video pipeline in diffusers' format, pickled, with the autoencoder's older names."""
    torch.manual_seed(0)
    folder = tmp_path / "modelscope"
    unet = UNet3DConditionModel(
        block_out_channels=(32, 64),
        down_block_types=("CrossAttnDownBlock3D", "DownBlock3D"),
        up_block_types=("UpBlock3D", "CrossAttnUpBlock3D"),
        layers_per_block=1,
        cross_attention_dim=16,
        attention_head_dim=16,
    )
    unet.save_pretrained(folder / "unet", safe_serialization=False)
    vae = AutoencoderKL(block_out_channels=(32,), layers_per_block=1, sample_size=16)
    vae.save_pretrained(folder / "vae")
    (folder / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    older = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    state = {}
    for name, tensor in vae.state_dict().items():
        for new, old in older.items():
            name = name.replace(new, old)
        state[name] = tensor
    torch.save(state, folder / "vae" / "diffusion_pytorch_model.bin")
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=520,
            hidden_size=16,
            intermediate_size=64,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=12,
            hidden_act="gelu",
        )
    )
    text.save_pretrained(folder / "text_encoder")
    (folder / "text_encoder" / "model.safetensors").unlink()
    named = {f"text_model.{name}": tensor for name, tensor in text.state_dict().items()}
    named["text_model.embeddings.position_ids"] = torch.arange(12)[None]
    torch.save(named, folder / "text_encoder" / "pytorch_model.bin")
    (folder / "scheduler").mkdir()
    noise = {
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "num_train_timesteps": 1000,
    }
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(noise))
    vocabulary.rename(folder / "tokenizer")
    return folder


def import_settings(folder: Path, tmp_path: Path, **others: object) -> Settings:
    section = {
        "format": "modelscope",
        "checkpoint": folder,
        "licence": "cc-by-nc-4.0",
        "source": "a test",
        **others,
    }
    return Settings(storage=tmp_path / "runs", import_checkpoint=ImportCheckpointSettings(**section))


@pytest.mark.usefixtures("unpickled_here")
def test_modelscope_in_diffusers_format_computes_what_diffusers_computes(
    modelscope: Path, tmp_path: Path
) -> None:
    result = json.loads(import_checkpoint(import_settings(modelscope, tmp_path)).read_text())
    report = json.loads(Path(result["outputs"]["report"]).read_text())
    assert report["unused"] == ["text_encoder/text_model.embeddings.position_ids"]
    pipeline = load_pipeline(result["outputs"]["pipeline"])
    assert pipeline.scheduler.config.x0_scale == 1.0
    theirs = UNet3DConditionModel.from_pretrained(modelscope / "unet", use_safetensors=False).eval()
    sample, t, text = torch.randn(1, 4, 3, 8, 8), torch.tensor([500]), torch.randn(1, 12, 16)
    with torch.no_grad():
        expected = theirs(sample, t, text).sample
        torch.testing.assert_close(pipeline.unet(sample, t, text), expected, atol=1e-5, rtol=0)


@pytest.mark.usefixtures("unpickled_here")
@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("unet/config.json", {"mid_block_scale_factor": 2}, "mid_block_scale_factor=2"),
        ("unet/config.json", {"layers_per_block": 2}, "entries of the part unet are missing"),
        (
            "scheduler/scheduler_config.json",
            {"prediction_type": "v_prediction"},
            "prediction_type=v_prediction",
        ),
    ],
)
def test_modelscope_with_other_settings_is_refused(
    file: str, change: dict[str, object], message: str, modelscope: Path, tmp_path: Path
) -> None:
    path = modelscope / file
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(InputError, match=message):
        import_checkpoint(import_settings(modelscope, tmp_path))


def test_what_is_not_there_or_does_not_belong_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing at"):
        import_checkpoint(import_settings(tmp_path / "absent", tmp_path))
    with pytest.raises(InputError, match="belong to the format t2v-turbo"):
        import_checkpoint(import_settings(tmp_path, tmp_path, lora=tmp_path))
    with pytest.raises(InputError, match="lacks unet, vae"):
        import_checkpoint(import_settings(tmp_path, tmp_path))
