"""The drawn networks as the folders and files that settings name."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
import vbench_networks as nets
from numpy.typing import NDArray
from safetensors.torch import save_file
from transformers import CLIPConfig, ViTConfig


def tensors(drawn: Mapping[str, NDArray[np.float32]]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(values.copy()) for name, values in drawn.items()}


@pytest.fixture(scope="session")
def networks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """By the names of the suite's settings."""
    place = tmp_path_factory.mktemp("vbench")
    dino = ViTConfig(
        hidden_size=nets.DINO["embed_dim"], num_hidden_layers=2, num_attention_heads=2, intermediate_size=128,
        layer_norm_eps=1e-6,
    )  # fmt: skip
    tower = {"num_hidden_layers": 2, "num_attention_heads": 1, "hidden_size": 64, "intermediate_size": 256}
    clip = CLIPConfig(
        text_config=tower, vision_config=tower | {"image_size": 224, "patch_size": 32}, projection_dim=16
    )
    for name, config, drawn in (
        ("dino", dino, nets.dino_tensors()),
        ("clip", clip, nets.clip_tensors()),
    ):
        (place / name).mkdir()
        config.save_pretrained(place / name)
        save_file(tensors(drawn), place / name / "model.safetensors", metadata={"format": "pt"})
    head = nets.weights("head", {"weight": (1, 16), "bias": (1,)})
    torch.save(tensors(head), place / "head.pth")
    torch.save({"model": tensors(nets.viclip_tensors()) | {"temp": torch.tensor(0.01)}}, place / "viclip.pth")
    return {
        "dino": place / "dino",
        "clip": place / "clip",
        "clip_large": place / "clip",
        "aesthetic_head": place / "head.pth",
        "viclip": place / "viclip.pth",
    }
