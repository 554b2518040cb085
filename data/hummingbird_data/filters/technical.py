"""A technical score of real footage that needs no weights: sharpness, noise, blockiness, exposure.

Each part is measured in units that mean something, and mapped to 0..1 so that 0.5 is where people begin to
mind; the score is the worst part, because one defect spoils a clip.

- Sharpness: how much of the steepness of edges a second blur takes away (Crete et al., "The blur effect:
  perception and estimation with a new no-reference perceptual blur metric", SPIE 6492, 2007). A picture that
  is soft already loses little.
- Noise: standard deviation in grey levels, from a mask that gives nothing on planes and straight edges
  (Immerkaer, "Fast noise variance estimation", CVIU 64, 1996), in the picture's quietest blocks.
- Blockiness: how much steeper the picture is across an 8 x 8 grid than elsewhere, as a ratio. Coding at the
  clip's own size shows; blocks of a larger picture that was made smaller do not.
- Exposure: share of the picture without detail because it is black or white, and the contrast that is left.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal

import cv2
import numpy as np
from hummingbird.config.curate import CurateSettings
from hummingbird.config.settings import Settings as SettingsTree
from hummingbird.core.model_references import is_shipped
from numpy.typing import NDArray

from hummingbird_data.filters.base import Filter, Limits, Threshold
from hummingbird_data.reading.clip_frames import clip_frames, evenly
from hummingbird_data.stage import Row, Stage

Luma = NDArray[np.float32]

_SIDE = 360  # pixels: defects are judged at the size of a small player
_SMOOTH = 9  # taps of the second blur
_BLOCK = 16  # pixels: blocks that noise is measured in
_QUIET = 20  # percentile of blocks that counts as free of texture
_GRID = 8
_STEEP = 24.0  # grey levels: a step that is an edge and no block
_BLACK, _WHITE = 12.0, 243.0
_SHAPES_SIDE = 256  # pixels: the largest pictures that the shapes world's quality model was trained on

_LIMITS = {
    "sharpness": (0.30, 0.50),
    "noise": (16.0, 6.0),
    "blockiness": (2.3, 1.2),
    "exposure": (0.03, 0.12),
}
"""Value where a part's score is 0, and where it is 1."""


@dataclass
class TechnicalStage(Stage):
    """The weight-free score, and which technical score decides about the clip.

    ``decides``: "model", "weightless", or "auto": the model for pictures of at most ``known`` pixels a side
    (what a model of the small world was trained on; none: any), the weight-free score for others.
    """

    name: ClassVar[str] = "technical"
    inputs: ClassVar[tuple[str, ...]] = ("media_path", "storage")
    outputs: ClassVar[tuple[str, ...]] = (
        "sharpness_score", "noise_score", "blockiness_score", "exposure_score", "quality_weightless", "technical_by",
    )  # fmt: skip
    decides: Literal["auto", "model", "weightless"] = "auto"
    known: int | None = None
    frames: int = 6

    def process(self, row: Row) -> Iterable[Row]:
        frames, _ = clip_frames(row)
        parts = measure(evenly(frames, self.frames))
        fits = self.known is None or max(frames.shape[1:3]) <= self.known
        model = self.decides == "model" or (self.decides == "auto" and fits)
        return [
            {
                **{f"{name}_score": round(value, 6) for name, value in parts.items()},
                "quality_weightless": round(weightless_score(parts), 6),
                "technical_by": "model" if model else "weightless",
            }
        ]


def measure(frames: NDArray[np.uint8]) -> dict[str, float]:
    """The four parts of frames (T, H, W, 3), uint8 RGB: medians over the frames."""
    lumas = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32) for frame in frames]
    found = {
        "sharpness": [sharpness(_fitted(luma)) for luma in lumas],
        "noise": [noise(luma) for luma in lumas],
        "blockiness": [blockiness(luma) for luma in lumas],
        "exposure": [exposure(luma) for luma in lumas],
    }
    return {name: float(np.median(values)) for name, values in found.items()}


def weightless_score(parts: dict[str, float]) -> float:
    """The worst of the parts, each 0..1 between its limits; 0.5 is acceptable."""
    scores = [(parts[name] - worst) / (best - worst) for name, (worst, best) in _LIMITS.items()]
    return float(np.clip(min(scores), 0.0, 1.0))


def sharpness(luma: Luma) -> float:
    """Share (0..1) of the steepness of edges that a second blur takes away, of the worse direction."""
    shares = []
    for axis in (0, 1):
        kernel = (1, _SMOOTH) if axis == 0 else (_SMOOTH, 1)
        steps = np.abs(np.diff(luma, axis=axis))
        blurred = np.abs(np.diff(cv2.blur(luma, kernel), axis=axis))
        total = float(steps.sum())
        # Of a picture without any edge nothing can be said.
        shares.append(
            float(np.maximum(0, steps - blurred).sum()) / total if total > steps.size * 0.05 else 1.0
        )
    return min(shares)


def noise(luma: Luma) -> float:
    """Standard deviation of the noise in grey levels."""
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    response = np.abs(cv2.filter2D(luma, cv2.CV_32F, mask))
    mean, level = (
        cv2.blur(x, (_BLOCK, _BLOCK))[_BLOCK // 2 :: _BLOCK, _BLOCK // 2 :: _BLOCK] for x in (response, luma)
    )
    open_blocks = (level > _BLACK) & (level < _WHITE)  # what is crushed has lost its noise
    if not open_blocks.any():
        return 0.0
    return float(np.percentile(mean[open_blocks], _QUIET) * np.sqrt(np.pi / 2) / 6)


def blockiness(luma: Luma) -> float:
    """Steepness across the lines of an 8 x 8 grid over that within its cells; 1 where there are no blocks."""
    ratios = []
    for axis in (0, 1):
        steps = np.abs(np.diff(luma, axis=axis))
        # Steps that stand out from both neighbours, but no edges of the picture.
        quiet = np.minimum(steps, _STEEP)
        profile = quiet.mean(1 - axis)
        sums = [float(profile[phase::_GRID].mean()) for phase in range(_GRID) if len(profile) > phase]
        others = float(np.median(sums))
        ratios.append((max(sums) + 0.25) / (others + 0.25))
    return max(ratios)


def exposure(luma: Luma) -> float:
    """Contrast (0..1, 5th to 95th percentile) of what is neither black nor white, times its share."""
    low, high = np.percentile(luma, (5, 95))
    lost = float(((luma <= _BLACK) | (luma >= _WHITE)).mean())
    return float((high - low) / 255) * (1 - lost)


def _fitted(luma: Luma) -> Luma:
    height, width = luma.shape
    scale = _SIDE / min(height, width)
    if scale >= 1:
        return luma
    return np.asarray(
        cv2.resize(luma, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    )


class WeightlessFilter(Filter):
    """The technical score that needs no weights, where it decides."""

    Settings = CurateSettings
    reason = "technical_quality"
    scores: ClassVar = {
        "quality_weightless": "technical quality, no weights",
        "sharpness_score": "sharpness",
        "noise_score": "noise",
        "blockiness_score": "blockiness",
        "exposure_score": "exposure",
    }
    threshold = Threshold("min_weightless", "quality_weightless", "below")

    def stages(self, settings: SettingsTree) -> list[Stage]:
        return [technical_stage(settings)]

    def drops(self, row: Row, limits: Limits) -> bool:
        return row["technical_by"] == "weightless" and super().drops(row, limits)


def technical_stage(settings: SettingsTree) -> TechnicalStage:
    """The stage that says which technical score decides about a clip."""
    quality = settings.models.quality
    known = _SHAPES_SIDE if quality is not None and is_shipped(quality) else None
    return TechnicalStage(decides="weightless" if quality is None else settings.curate.technical, known=known)
