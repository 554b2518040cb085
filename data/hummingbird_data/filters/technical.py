"""A technical score of real footage that needs no weights: detail, noise, blockiness, exposure.

Each part is measured in units that mean something, and mapped to 0..1 so that 0.5 is where people begin to
mind; the score is the worst part, because one defect spoils a clip.

- Detail: strength of the finest details of the picture (Laplacian) over that of details twice as large, and of these
  over those four times as large, where the picture is sharpest: one in focus is enough. What was blurred, made larger
  or smeared by a coder has no fine details, however much it was sharpened since. The part that noise has is taken out.
- Sharpness: how much of the steepness of edges a second blur takes away, where most (Crete et al., "The blur effect",
  SPIE 6492, 2007). A picture that is soft already loses little.
- Noise: standard deviation in gray levels, from a mask that gives nothing on planes and straight edges
  (Immerkaer, "Fast noise variance estimation", CVIU 64, 1996), in the picture's quietest blocks; and grain: the same
  ratio of fine to larger details in the middle of the picture's blocks, which no scene has as high.
- Blockiness: how much steeper the picture is across an 8 x 8 grid than elsewhere, as a ratio. Coding at the
  clip's own size shows; blocks of a larger picture that was made smaller do not.
- Exposure: share of the picture whose light was cut off at white, and the contrast of the brightest to the darkest
  hundredth. A picture that is dark for the most part has contrast if anything in it is lit.
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
_AREA = 32  # pixels: blocks that detail is measured in
_BEST = 90  # percentile of these that counts as in focus
_VERY_BEST = 97  # the same of larger details: a small subject in focus is enough
_PLAIN = 1.0  # gray levels: Laplacian of larger details, below which there is nothing to be sharp
_FEW = 4  # blocks: fewer with anything in them say nothing
_GRAINY = 2.0  # gray levels of noise in the quiet blocks, from which on fine details count as grain
_GRID = 8
_STEEP = 24.0  # gray levels: a step that is an edge and no block
_BLACK, _WHITE = 12.0, 243.0
_SHAPES_SIDE = 256  # pixels: the largest pictures that the shapes world's quality model was trained on
_CUT = 250  # gray levels of the brightest color: what was brighter is lost
_ROUNDING = 0.26
"""Gray levels: noise of rounding to 8 bits, 0.29 of evenly spread values, less in dark film, which coders smooth."""
_NOISE_DETAIL = np.sqrt(20 * 2 / np.pi)  # mean absolute Laplacian of noise of standard deviation 1

_LIMITS = {
    "fine": (0.40, 0.61),
    "middle": (0.38, 0.62),
    "coarse": (0.38, 0.62),
    "sharpness": (0.30, 0.50),
    "noise": (6.6, 2.6),
    "grain": (0.86, 0.66),
    "blockiness": (2.3, 1.2),
    "white": (0.80, 0.25),
    "contrast": (12.0, 60.0),
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
        made = {
            "sharpness_score": parts["sharpness"],
            "noise_score": parts["noise"],
            "blockiness_score": parts["blockiness"],
            "exposure_score": parts["contrast"] / 255 * (1 - parts["white"]),
            "quality_weightless": weightless_score(parts),
        }
        decides = "model" if model else "weightless"
        return [{**{name: round(value, 6) for name, value in made.items()}, "technical_by": decides}]


def measure(frames: NDArray[np.uint8]) -> dict[str, float]:
    """The parts of frames (T, H, W, 3), uint8 RGB, by the names of their limits: medians over the frames."""
    found = [_measured(frame) for frame in frames]
    return {name: float(np.median([parts[name] for parts in found])) for name in _LIMITS}


def weightless_score(parts: dict[str, float]) -> float:
    """The worst of the parts, each 0..1 between its limits; 0.5 is acceptable."""
    scores = [(parts[name] - worst) / (best - worst) for name, (worst, best) in _LIMITS.items()]
    return float(np.clip(min(scores), 0.0, 1.0))


def _measured(frame: NDArray[np.uint8]) -> dict[str, float]:
    luma = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)
    low, high = np.percentile(luma, (0.5, 99.5))
    return {
        **detail(_fitted(luma)),
        "noise": noise(luma),
        "blockiness": blockiness(luma),
        "white": float((frame.max(-1) >= _CUT).mean()),
        "contrast": float(high - low),
    }


def detail(luma: Luma) -> dict[str, float]:
    """Ratios of the strength of details, where they are highest, and what else is seen in them.

    ``fine``: the finest over those twice as large; ``middle``: these over those four times as large; ``coarse``: these
    over the next; ``sharpness``: see above; ``grain``: as ``fine``, in the middle of the blocks and with noise left in.
    Of a picture without any detail nothing can be said: it has 1, and no grain.
    """
    picture, sigma = luma, noise(luma)
    noisy = max(sigma, _ROUNDING)  # what is blurred has little else than rounding for its finest details
    raw, clean = [], []
    for octave in range(4):
        strength = _in_blocks(np.abs(cv2.Laplacian(luma, cv2.CV_32F, ksize=1)), _AREA >> octave)
        raw.append(strength)
        clean.append(np.sqrt(np.maximum(strength**2 - (_NOISE_DETAIL * noisy / 2**octave) ** 2, 0)))
        luma = np.asarray(cv2.resize(luma, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    rows, columns = np.min([strength.shape for strength in raw], axis=0)
    raw, clean = ([strength[:rows, :columns] for strength in x] for x in (raw, clean))
    there = [
        strength > limit for strength, limit in zip(raw[1:], (_PLAIN, 1.5 * _PLAIN, 2 * _PLAIN), strict=True)
    ]
    found = {"fine": 1.0, "middle": 1.0, "coarse": 1.0, "grain": 0.0, "sharpness": 1.0}
    if there[0].sum() >= _FEW:
        found["fine"] = _ratio(clean[0], clean[1], there[0], _BEST)
        # Drawings have fine details everywhere too, but nothing between their lines.
        found["grain"] = _ratio(raw[0], raw[1], there[0], 50) * min(1.0, sigma / _GRAINY)
        found["sharpness"] = min(_taken_away(picture, axis, there[0]) for axis in (0, 1))
    if there[1].sum() >= _FEW:
        found["middle"] = _ratio(clean[1], clean[2], there[1], _VERY_BEST)
    if there[2].sum() >= _FEW:
        found["coarse"] = _ratio(clean[2], clean[3], there[2], _VERY_BEST)
    return found


def _taken_away(luma: Luma, axis: int, where: NDArray[np.bool_]) -> float:
    """Share (0..1) of the steepness of edges along ``axis`` that a second blur takes away, where most."""
    kernel = (1, _SMOOTH) if axis == 0 else (_SMOOTH, 1)
    steps = np.abs(np.diff(luma, axis=axis))
    lost = np.maximum(0, steps - np.abs(np.diff(cv2.blur(luma, kernel), axis=axis)))
    steps, lost = (_in_blocks(values, _AREA) for values in (steps, lost))
    rows, columns = np.minimum(where.shape, steps.shape)
    chosen = where[:rows, :columns]
    return (
        float(np.percentile((lost / (steps + 0.05))[:rows, :columns][chosen], _BEST)) if chosen.any() else 1.0
    )


def _ratio(one: Luma, other: Luma, where: NDArray[np.bool_], percentile: float) -> float:
    return float(np.percentile((one / (other + 0.5))[where], percentile))


def _in_blocks(values: Luma, side: int) -> Luma:
    """Means over blocks of ``side`` pixels; what is left over at the edges does not count."""
    side = min(side, *values.shape)
    height, width = (length // side for length in values.shape)
    cut = values[: height * side, : width * side]
    return np.asarray(cut.reshape(height, side, width, side).mean((1, 3)))


def noise(luma: Luma) -> float:
    """Standard deviation of the noise in gray levels."""
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
        # Steps that stand out from both neighbors, but no edges of the picture.
        quiet = np.minimum(steps, _STEEP)
        profile = quiet.mean(1 - axis)
        sums = [float(profile[phase::_GRID].mean()) for phase in range(_GRID) if len(profile) > phase]
        others = float(np.median(sums))
        ratios.append((max(sums) + 0.25) / (others + 0.25))
    return max(ratios)


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
