"""The autoencoder's training taken up again."""

from pathlib import Path

import pytest
import torch
from hummingbird.pretraining.autoencoder import pretrain_autoencoder
from hummingbird.pretraining.loop import Course
from safetensors.torch import load_file

WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.mark.slow
def test_an_encoder_that_is_taken_up_again_makes_the_same_latents(tmp_path: Path) -> None:
    pretrain_autoencoder(tmp_path / "first", 1, Course(1, lr=2e-3))
    pretrain_autoencoder(tmp_path / "second", 2, Course(1, lr=2e-3, start=tmp_path / "first"))
    first, second = (load_file(tmp_path / run / "vae" / WEIGHTS) for run in ("first", "second"))
    same = {name for name in first if torch.equal(first[name], second[name])}
    assert {name for name in first if name.startswith(("encoder.", "quant_conv."))} <= same
    assert len(same) < len(first)
    configs = [(tmp_path / run / "vae" / "config.json").read_text() for run in ("first", "second")]
    scales = [next(line for line in config.splitlines() if "scaling_factor" in line) for config in configs]
    assert scales[0] == scales[1]
