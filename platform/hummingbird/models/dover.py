"""DOVER: technical and aesthetic quality of a video (arXiv 2211.04894), at any width.

The defaults are the published network, and parameter names are those of ``DOVER.pth``; a small instance is a
configuration. The published weights are for non-commercial use.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import numpy as np
import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from numpy.typing import NDArray
from torch import Tensor, nn

from hummingbird.models.dover_convnext import ConvNext3D
from hummingbird.models.dover_swin import Swin3D
from hummingbird.models.dover_views import (
    AestheticView,
    TechnicalView,
    aesthetic_view,
    normalize,
    technical_view,
)


class QualityScores(TypedDict):
    """Raw technical and aesthetic scores (any real number, higher is better) and their fusion in 0..1."""

    technical: float
    aesthetic: float
    overall: float


class ScoreHead(nn.Module):
    """A feature map (B, C, T, H, W) to a score map (B, 1, T, H, W)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc_hid = nn.Conv3d(width, hidden, 1)
        self.fc_last = nn.Conv3d(hidden, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.fc_last(F.gelu(self.fc_hid(x)))
        return result


class DOVER(ModelMixin, ConfigMixin):
    """Two branches that each look at a view of their own.

    ``fusion`` gives a branch's weight, mean and deviation: overall is the sigmoid of the weighted sum of the
    normalized scores. ``technical_view`` and ``aesthetic_view`` are the fields of `TechnicalView` and
    `AestheticView`. ``threshold`` is the technical score below which a video counts as defective, where the
    weights were trained for such a decision; the published weights come without one.
    """

    @register_to_config
    def __init__(
        self,
        technical_width: int = 96,
        technical_depths: Sequence[int] = (2, 2, 6, 2),
        technical_heads: Sequence[int] = (3, 6, 12, 24),
        technical_window: Sequence[int] = (8, 7, 7),
        aesthetic_widths: Sequence[int] = (96, 192, 384, 768),
        aesthetic_depths: Sequence[int] = (3, 3, 9, 3),
        head_width: int = 64,
        technical_view: Mapping[str, int] | None = None,
        aesthetic_view: Mapping[str, int] | None = None,
        technical_fusion: Sequence[float] = (0.6104, 0.1107, 0.07355),
        aesthetic_fusion: Sequence[float] = (0.3896, -0.08285, 0.03774),
        threshold: float | None = None,
    ) -> None:
        super().__init__()
        t, h, w = technical_window
        self.technical_backbone = Swin3D(technical_width, technical_depths, technical_heads, (t, h, w))
        self.technical_head = ScoreHead(self.technical_backbone.width, head_width)
        self.aesthetic_backbone = ConvNext3D(aesthetic_widths, aesthetic_depths)
        self.aesthetic_head = ScoreHead(self.aesthetic_backbone.width, head_width)
        self.views = TechnicalView(**technical_view or {}), AestheticView(**aesthetic_view or {})

    def technical_map(self, view: Tensor) -> Tensor:
        """Normalized fragments (B, 3, T, H, W) to a map (B, 1, T/2, H/32, W/32); the score is its mean."""
        result: Tensor = self.technical_head(self.technical_backbone(view))
        return result

    def aesthetic_map(self, view: Tensor) -> Tensor:
        """The same for resized frames."""
        result: Tensor = self.aesthetic_head(self.aesthetic_backbone(view))
        return result

    def fuse(self, technical: float, aesthetic: float) -> float:
        """The overall score, in 0..1."""
        total = 0.0
        for score, key in ((technical, "technical_fusion"), (aesthetic, "aesthetic_fusion")):
            weight, mean, deviation = self.config[key]
            total += weight * (score - mean) / deviation
        # tanh does not overflow where exp would
        return 0.5 + 0.5 * math.tanh(total / 2)

    @torch.no_grad()
    def score(self, frames: NDArray[np.uint8], seed: int = 0) -> QualityScores:
        """Score a video, uint8 RGB (T, H, W, 3) of at least one frame; ``seed`` places clips and fragments.

        Raises ValueError for frames of another shape or type, RuntimeError for a model in training mode.
        """
        if self.training:
            raise RuntimeError("the quality model is in training mode; call eval() before score()")
        rng = np.random.default_rng(seed)
        like: dict[str, Any] = {"device": self.device, "dtype": self.dtype}
        technical = normalize(technical_view(frames, self.views[0], rng)).to(**like)
        aesthetic = normalize(aesthetic_view(frames, self.views[1], rng)).to(**like)
        # Clip by clip: attention over all clips of the full-size network at once would take gigabytes.
        t = torch.stack([self.technical_map(clip[None]).mean() for clip in technical]).mean().item()
        a = self.aesthetic_map(aesthetic).mean().item()
        return {"technical": t, "aesthetic": a, "overall": self.fuse(t, a)}
