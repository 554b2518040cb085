"""The verb decoder: a small decoder for a pipeline that has none, told apart from the full one on held-out clips."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL
from hummingbird.config.loading import load_settings
from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.core.model_references import model_licence
from hummingbird.lake.lake import Lake
from hummingbird.models.pipeline import load_pipeline
from hummingbird.pretraining.autoencoder import pixel_loss as pretraining_loss
from hummingbird.training.data import Worker, cached_latents
from hummingbird.training.decoder import distil_decoder
from hummingbird.training.decoder_features import FeatureDistance
from hummingbird.training.decoder_quality import psnr, ssim
from hummingbird.training.methods.decoding import pixel_loss
from transformers import CLIPVisionConfig, CLIPVisionModel


@pytest.fixture
def without_decoder(tmp_path: Path, tiny_teacher: Path, write_cache: Callable[..., Path]) -> Settings:
    """A pipeline with an autoencoder of two stages and no small decoder, as an imported one, and its cache."""
    torch.manual_seed(2)
    pipeline = load_pipeline(tiny_teacher)
    pipeline.decoder = None
    pipeline.vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 8),
        latent_channels=8,
        norm_num_groups=4,
        sample_size=16,
    )
    pipeline.save_pretrained(tmp_path / "imported")
    (tmp_path / "imported" / "README.md").write_text("---\nlicense: mit\n---\nImported.\n")
    cache = write_cache(tmp_path / "cache", pipeline=tmp_path / "imported")
    settings = load_settings(
        overrides=[
            f"storage={tmp_path / 'runs'}",
            f"models.teacher={tmp_path / 'imported'}",
            f"training.cache={cache}",
            "training.engine=process",
            "training.mixed_precision=fp32",
            "training.warmup_steps=0",
            "training.ema_decay=0.9",
            "decoder={steps: 60, blocks: [1, 1], channels: 16, crop: 4, held_out: 2, learning_rate: 5e-3}",
        ]
    )
    about = json.loads((cache / "cache.json").read_text())
    snapshot = Lake.open(settings).snapshot()
    (cache / "cache.json").write_text(json.dumps({**about, "snapshot_id": snapshot}))
    return settings


def _changed(settings: Settings, **values: object) -> Settings:
    return settings.model_copy(update={"decoder": settings.decoder.model_copy(update=values)})


def test_a_pipeline_without_a_small_decoder_gets_one_that_learned(without_decoder: Settings) -> None:
    untrained = json.loads(distil_decoder(_changed(without_decoder, steps=1)).read_text())["metrics"]
    path = distil_decoder(without_decoder)
    result = json.loads(path.read_text())
    pipeline = load_pipeline(result["outputs"]["pipeline"])
    assert pipeline.decoder is not None
    assert pipeline("a", num_frames=2, num_inference_steps=1, decoder="small").frames.shape == (
        1,
        2,
        16,
        16,
        3,
    )
    assert model_licence(Path(result["outputs"]["pipeline"])) == "mit"
    report = json.loads(Path(result["outputs"]["report"]).read_text())
    assert (report["clips"], report["frames"]) == (2, 8)
    assert set(report["decoders"]) == {"full", "small"}
    small = report["decoders"]["small"]
    assert small["psnr"] > untrained["decoders"]["small"]["psnr"] + 3
    assert small["milliseconds_per_frame"] > 0
    assert not (path.parent / "unet").exists()

    again = result["outputs"]["pipeline"]
    more = _changed(without_decoder, model=again, fine_tune=True, steps=1, learning_rate=1e-9)
    rows = json.loads(distil_decoder(more).read_text())["metrics"]["decoders"]
    assert rows["small"]["psnr"] == pytest.approx(rows["small before"]["psnr"], abs=1e-3)


@pytest.mark.slow
def test_workers_share_the_training_as_any_other(without_decoder: Settings, ray_cluster: None) -> None:
    short = _changed(without_decoder, steps=4)
    alone = json.loads(distil_decoder(short).read_text())["metrics"]["decoders"]["small"]
    shared = {"engine": "ray", "workers": 1, "zero_stage": 2, "gradient_checkpointing": True}
    by_one = short.model_copy(update={"training": short.training.model_copy(update=shared)})
    rows = json.loads(distil_decoder(by_one).read_text())["metrics"]["decoders"]
    assert rows["small"]["psnr"] == pytest.approx(alone["psnr"], abs=1e-3)
    shared |= {"workers": 2, "zero_stage": 3}
    by_two = short.model_copy(update={"training": short.training.model_copy(update=shared)})
    metrics = json.loads(distil_decoder(by_two).read_text())["metrics"]
    assert metrics["steps"] == 4
    assert metrics["decoders"]["small"]["psnr"] > 5


def test_what_does_not_fit_is_said(without_decoder: Settings) -> None:
    for values, message in (
        ({"blocks": (1, 1, 1)}, "2 times as large as its latents: give 2 numbers"),
        ({"fine_tune": True}, "has no small decoder to go on from"),
        ({"held_out": 12}, "leaves none of the cache's 12 samples"),
    ):
        with pytest.raises(InputError, match=message):
            distil_decoder(_changed(without_decoder, **values))


def test_held_out_samples_are_never_trained_on(write_cache: Callable[..., Path], tmp_path: Path) -> None:
    folder = write_cache(tmp_path / "latents")
    worker = Worker(0, 1, torch.device("cpu"))
    with cached_latents(folder, 2, 0, worker, left_out=[10, 11]) as read:
        seen = {caption for step in range(5) for caption in read(step)["captions"]}
    with cached_latents(folder, 1, 0, worker) as read:
        everything = {caption for step in range(12) for caption in read(step)["captions"]}
    assert (len(seen), len(everything)) == (10, 12)


def test_features_pull_frames_to_the_true_ones(tmp_path: Path) -> None:
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    torch.manual_seed(0)
    CLIPVisionModel(CLIPVisionConfig(**small, image_size=16, patch_size=8)).save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"preprocessor_config\.json"):
        FeatureDistance(tmp_path, 1.0, torch.device("cpu"))
    prepared = {"size": 16, "crop_size": 16, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(prepared))
    distance = FeatureDistance(tmp_path, 2.0, torch.device("cpu"))
    true = torch.rand(2, 3, 16, 16) * 2 - 1
    decoded = torch.zeros_like(true, requires_grad=True)
    assert float(distance(true, true)) == pytest.approx(0, abs=1e-6)
    loss = distance(decoded, true)
    (gradient,) = torch.autograd.grad(loss, decoded)
    nearer = (decoded - 0.05 * gradient / gradient.abs().max()).detach()
    assert float(distance(nearer, true)) < float(loss.detach())


def test_pixels_and_scores_are_best_where_frames_are_equal() -> None:
    assert pretraining_loss is pixel_loss  # one loss for both
    torch.manual_seed(0)
    true = torch.rand(2, 3, 32, 32) * 1.8 - 0.9
    assert float(pixel_loss(true, true, scales=9)) == 0
    assert (ssim(true, true), psnr(true, true)) == (pytest.approx(1), float("inf"))
    near, far = (true + scale * torch.randn_like(true) for scale in (0.02, 0.2))
    assert psnr(true + 0.1, true) == pytest.approx(-20 * torch.tensor(0.05).log10().item(), abs=1e-3)
    assert 1 > ssim(near, true) > ssim(far, true) > 0
    assert pixel_loss(near, true, 3) < pixel_loss(far, true, 3)
