"""The small decoder: what it learns from, and what it is shipped as."""

import json
from pathlib import Path

import torch
from diffusers import AutoencoderTiny
from hummingbird.config.pretrain import PretrainSettings
from hummingbird.config.settings import Settings
from hummingbird.core.model_references import SHIPPED_WEIGHTS
from hummingbird.models.pipeline import load_pipeline
from hummingbird.pretraining.autoencoder import draw_frames, to_pixels
from hummingbird.pretraining.decoder import pretrain_decoder
from hummingbird.training.decoder_quality import psnr

FRAMES = draw_frames(5, 16, 0)


def test_the_shipped_decoder_shows_frames_as_well_as_its_card_says() -> None:
    pipeline = load_pipeline("shapes-student")
    latents = pipeline.encode_frames(FRAMES).transpose(0, 1)[None]
    with torch.no_grad():
        made = pipeline.decode(latents, "small")[0] * 2 - 1
    card = json.loads((SHIPPED_WEIGHTS / "components" / "decoder" / "card.json").read_text())
    assert psnr(made, to_pixels(FRAMES, "cpu")) > card["psnr"] - 3


def test_a_decoder_is_trained_from_its_start_and_alone(tmp_path: Path) -> None:
    settings = PretrainSettings(steps=2)
    pretrain_decoder(tmp_path / "first", Settings(pretrain=settings))
    again = settings.model_copy(update={"learning_rate": 1e-9, "start": tmp_path / "first"})
    pretrain_decoder(tmp_path / "second", Settings(pretrain=again))
    first, second = (
        AutoencoderTiny.from_pretrained(tmp_path / run / "decoder") for run in ("first", "second")
    )
    for name, tensor in first.decoder.state_dict().items():
        torch.testing.assert_close(second.decoder.state_dict()[name], tensor, rtol=0, atol=1e-6)
    assert not (tmp_path / "first" / "vae").exists()
