"""A perceptual loss: how far two pictures are apart in the features of an image model."""

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoModel

from hummingbird.core.errors import InputError
from hummingbird.models.loading import load_pretrained
from hummingbird.training.rewards.preprocessing import Preprocessing

LAYERS = 4
"""Of the model, evenly from its first to its last."""


class FeatureDistance:
    """Squared distance of features of unit length, at every place and of several layers, as LPIPS without its weights.

    Source: Zhang et al. 2018 (arXiv 1801.03924). Frames are resized and cropped as the model's folder says.

    Args:
        folder: an image model of transformers, or one of images and text (CLIP), whose image half is taken.
        weight: what the distance is multiplied by.

    Raises:
        InputError: the folder cannot be loaded, or its model has no features of layers.
    """

    def __init__(self, folder: Path, weight: float, device: torch.device) -> None:
        if not (folder / "config.json").is_file():
            raise InputError(
                f"decoder.features: {folder} is no model of transformers (no config.json): name a folder of CLIP, "
                "SigLIP, DINO, ViT, ResNet or ConvNeXt"
            )
        self._prepare = Preprocessing.of(folder)
        model: Any = load_pretrained(AutoModel, folder, dtype=torch.float32)
        self.model: nn.Module = getattr(model, "vision_model", model).to(device).eval().requires_grad_(False)
        self._weight = weight
        if self._features(torch.zeros(1, 3, *self._prepare.crop, device=device)) is None:
            raise InputError(
                f"decoder.features: the model in {folder} does not give the features of its layers"
            )

    def __call__(self, decoded: Tensor, true: Tensor) -> Tensor:
        """The weighted distance of frames (N, 3, H, W) in -1..1; gradients flow to ``decoded`` alone."""
        with torch.no_grad():
            targets = self._features(self._prepare((true / 2 + 0.5).clamp(0, 1)))
        features = self._features(self._prepare((decoded / 2 + 0.5).clamp(0, 1)))
        errors = [
            (_unit(one) - _unit(target)).square().sum(1).mean()
            for one, target in zip(features or (), targets or (), strict=True)
        ]
        return self._weight * torch.stack(errors).mean()

    def _features(self, pixels: Tensor) -> list[Tensor] | None:
        """Of each chosen layer (N, D, places)."""
        states = getattr(self.model(pixels, output_hidden_states=True), "hidden_states", None)
        if not states or len(states) < 2:
            return None
        chosen = torch.linspace(1, len(states) - 1, min(LAYERS, len(states) - 1)).round().long().tolist()
        return [
            states[layer].flatten(2) if states[layer].dim() == 4 else states[layer].transpose(1, 2)
            for layer in chosen
        ]


def _unit(features: Tensor) -> Tensor:
    return F.normalize(features.float(), dim=1)
