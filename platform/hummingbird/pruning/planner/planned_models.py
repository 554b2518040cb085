"""The models that the planner knows: full-size architectures by name, and pipeline folders by their configurations."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel

from hummingbird.core.errors import InputError
from hummingbird.core.hashes import count_parameters, public_config
from hummingbird.core.model_references import pipeline_folder
from hummingbird.models.architectures import videocrafter2_config
from hummingbird.models.family import VideoUNetFamily
from hummingbird.training.rewards.base import RewardDeclaration
from hummingbird.training.rewards.published import PUBLISHED

KL_AUTOENCODER = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "latent_channels": 4,
}
"""Stable Diffusion's autoencoder, which VideoCrafter2 uses frame by frame."""

OPENCLIP_H_TEXT = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "projection_dim": 1024,
}
FULL_SIZE = ("videocrafter2",)


@dataclass(frozen=True)
class PlannedModel:
    """What the planner needs to know of a pipeline.

    Attributes:
        unet: the U-Net's configuration.
        size: height and width in pixels that it was made for.
        text_tokens: length of a text.
        text_parameters: of the text encoder.
        vae, small: configurations of the autoencoder and of the small decoder.
        rewards: what the rewards that it is published with need, by name; none: those of the settings.
        folder: of a pipeline with weights.
    """

    name: str
    unet: dict[str, Any]
    size: tuple[int, int]
    text_tokens: int
    text_parameters: int
    vae: Mapping[str, Any]
    small: Mapping[str, Any]
    rewards: Mapping[str, RewardDeclaration]
    folder: Path | None

    @property
    def scale(self) -> int:
        """Pixels a latent, in height and width."""
        return int(2 ** (len(self.vae["block_out_channels"]) - 1))

    def decoder(self, which: str) -> nn.Module:
        """The ``full`` or ``small`` decoder, with the encoder beside it."""
        if which == "full":
            full: nn.Module = AutoencoderKL(**public_config(self.vae))
            return full
        # Saved configurations of a small decoder hold a key that its class no longer takes.
        config = {
            key: value for key, value in public_config(self.small).items() if key != "block_out_channels"
        }
        small: nn.Module = AutoencoderTiny.from_config(config)
        return small


def planned_model(name: str) -> PlannedModel:
    """A full-size architecture by name, or what a pipeline folder holds.

    Raises:
        InputError: no such name or folder.
    """
    if name == "videocrafter2":
        return _videocrafter2()
    try:
        folder = pipeline_folder(name)
    except InputError as error:
        raise InputError(f"{error}; or name one of {', '.join(FULL_SIZE)}") from error
    text = CLIPTextConfig(**_read(folder, "text_encoder"))
    with torch.device("meta"):
        text_parameters = count_parameters(CLIPTextModel(text))
    vae, unet = _read(folder, "vae"), public_config(_read(folder, "unet"))
    family = VideoUNetFamily(unet, vae, text.to_dict(), _read(folder, "scheduler", "scheduler_config.json"))
    has_small = any((home / "decoder").is_dir() for home in (folder, folder.parent / "components"))
    return PlannedModel(
        name=name,
        unet=unet,
        size=family.size,
        text_tokens=family.text_tokens,
        text_parameters=text_parameters,
        vae=vae,
        small=_read(folder, "decoder") if has_small else {"latent_channels": unet["in_channels"]},
        rewards={},
        folder=folder,
    )


def _videocrafter2() -> PlannedModel:
    with torch.device("meta"):
        text = count_parameters(CLIPTextModel(CLIPTextConfig(**OPENCLIP_H_TEXT)))
    return PlannedModel(
        name="videocrafter2",
        unet=videocrafter2_config(),
        size=(320, 512),
        text_tokens=77,
        text_parameters=text,
        vae=KL_AUTOENCODER,
        small={},
        rewards=PUBLISHED,
        folder=None,
    )


def _read(folder: Path, part: str, name: str = "config.json") -> dict[str, Any]:
    """A part's configuration; shipped pipelines share theirs in ``components``."""
    places = [home / part / name for home in (folder, folder.parent / "components")]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise InputError(f"{folder} is no pipeline folder: it has no {part}/{name}")
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
