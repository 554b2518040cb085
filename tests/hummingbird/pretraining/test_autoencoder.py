"""The autoencoder's training taken up again."""

from pathlib import Path

import pytest
import torch
from hummingbird.config.pretrain import PretrainSettings
from hummingbird.config.settings import Settings
from hummingbird.pretraining.autoencoder import pretrain_autoencoder
from safetensors.torch import load_file

WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.mark.slow
def test_an_encoder_that_is_taken_up_again_makes_the_same_latents(tmp_path: Path) -> None:
    settings = PretrainSettings(steps=1, learning_rate=2e-3)
    pretrain_autoencoder(tmp_path / "first", Settings(seed=1, pretrain=settings))
    again = settings.model_copy(update={"start": tmp_path / "first"})
    pretrain_autoencoder(tmp_path / "second", Settings(seed=2, pretrain=again))
    first, second = (load_file(tmp_path / run / "vae" / WEIGHTS) for run in ("first", "second"))
    same = {name for name in first if torch.equal(first[name], second[name])}
    assert {name for name in first if name.startswith(("encoder.", "quant_conv."))} <= same
    assert len(same) < len(first)
    configs = [(tmp_path / run / "vae" / "config.json").read_text() for run in ("first", "second")]
    scales = [next(line for line in config.splitlines() if "scaling_factor" in line) for config in configs]
    assert scales[0] == scales[1]
