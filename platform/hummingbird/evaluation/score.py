"""The score: dimensions, normalisation, weights and parts, in VBench's form (arXiv 2311.17982).

This file alone says what a score means, and it was fixed before any student was trained. A dimension's raw
value is min-max normalised and weighted; Quality and Semantic are weighted means, Total = (4 Quality +
Semantic) / 5. `VBENCH` is the published table, kept to check the arithmetic against published rows.
`SHAPES` is the table for the shapes world: the same weights, with raw values that
`hummingbird.evaluation.suites.shapes.metrics` computes from pixels and from the judge's observations, without a
model.

How the shapes table was set: ``maximum`` is what scenes drawn by `hummingbird.shapes.scene` get (their
mean, rounded down), ``minimum`` a level at which nobody would call the quality acceptable: a background
that changes by 15 % of the range, paths that jitter by half a radius, edges blurred by a twentieth of the
side. So drawn scenes score 1 and noise near 0. Values outside [minimum, maximum] are clipped: no dimension
pays for another.

VBench's other dimensions are left out of the shapes table, with the reasons in `LEFT_OUT`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

SCORE_VERSION = 2
"""Changes with any definition, bound or weight; stands beside every score that is written. 2: the world's things turn
more slowly, and the judge asks for less of it."""

Part = Literal["quality", "semantic"]


@dataclass(frozen=True)
class Dimension:
    """One dimension: raw values from ``minimum`` (worth 0) to ``maximum`` (worth 1), its weight and part."""

    name: str
    minimum: float
    maximum: float
    weight: float
    part: Part
    definition: str = ""

    def normalise(self, raw: float) -> float:
        """Raw value to [0, 1], clipped."""
        return min(max((raw - self.minimum) / (self.maximum - self.minimum), 0.0), 1.0)


VBENCH = (
    Dimension("subject consistency", 0.1462, 1.0, 1.0, "quality"),
    Dimension("background consistency", 0.2615, 1.0, 1.0, "quality"),
    Dimension("temporal flickering", 0.6293, 1.0, 1.0, "quality"),
    Dimension("motion smoothness", 0.706, 0.9975, 1.0, "quality"),
    Dimension("aesthetic quality", 0.0, 1.0, 1.0, "quality"),
    Dimension("imaging quality", 0.0, 1.0, 1.0, "quality"),
    Dimension("dynamic degree", 0.0, 1.0, 0.5, "quality"),
    Dimension("object class", 0.0, 1.0, 1.0, "semantic"),
    Dimension("multiple objects", 0.0, 1.0, 1.0, "semantic"),
    Dimension("human action", 0.0, 1.0, 1.0, "semantic"),
    Dimension("color", 0.0, 1.0, 1.0, "semantic"),
    Dimension("spatial relationship", 0.0, 1.0, 1.0, "semantic"),
    Dimension("scene", 0.0, 0.8222, 1.0, "semantic"),
    Dimension("appearance style", 0.0009, 0.2855, 1.0, "semantic"),
    Dimension("temporal style", 0.0, 0.364, 1.0, "semantic"),
    Dimension("overall consistency", 0.0, 0.364, 1.0, "semantic"),
)

SHAPES = (
    Dimension(
        "subject consistency", 0.0, 1.0, 1.0, "quality",
        "share of objects and quarters of the clip in which an object keeps the clip's shape and color",
    ),
    Dimension(
        "background consistency", 0.85, 1.0, 1.0, "quality",
        "1 - mean absolute difference between each frame's background and the first frame's, outside objects",
    ),
    Dimension(
        "temporal flickering", 0.85, 1.0, 1.0, "quality",
        "1 - mean absolute difference between neighbouring frames, outside objects",
    ),
    Dimension(
        "motion smoothness", 0.5, 0.98, 1.0, "quality",
        "1 - mean second difference of the objects' centres and radii, in units of their radius",
    ),
    Dimension(
        "imaging quality", 0.2, 0.8, 1.0, "quality",
        "sharpness of edges (steepest step over local contrast) times cleanness (1 - noise level / 0.1)",
    ),
    Dimension(
        "dynamic degree", 0.0, 1.0, 0.5, "quality",
        "share of videos in which an object moves, grows or turns",
    ),
    Dimension(
        "object class", 0.0, 1.0, 1.0, "semantic",
        "prompts of one object: share that show exactly one object, of the prompted shape",
    ),
    Dimension(
        "multiple objects", 0.0, 1.0, 1.0, "semantic",
        "prompts of two objects: share that show exactly two objects, of the prompted shapes",
    ),
    Dimension(
        "motion", 0.0, 1.0, 1.0, "semantic",
        "share of videos whose prompted objects all move as prompted; stands where VBench has human action",
    ),
    Dimension(
        "color", 0.0, 1.0, 1.0, "semantic",
        "share of videos whose prompted objects all have the prompted color",
    ),
    Dimension(
        "spatial relationship", 0.0, 1.0, 1.0, "semantic",
        "prompts of two objects: share whose two objects lie to each other as prompted",
    ),
    Dimension("scene", 0.0, 1.0, 1.0, "semantic", "share of videos with the prompted background"),
)  # fmt: skip

LEFT_OUT = {
    "aesthetic quality": "all scenes are drawn by the same few rules: there is no better or worse taste",
    "human action": "the world has no people; an object's motion stands in its place",
    "appearance style": "the world has one style, and prompts name none",
    "temporal style": "the world has one camera and one rhythm, and prompts name none",
    "overall consistency": "it asks a video-text model, as the reward in training does; the score asks none",
}
"""VBench's dimensions without a counterpart in the shapes table, and why."""


@dataclass(frozen=True)
class Score:
    """Normalised dimensions and the weighted means, all in [0, 1]; ``dimensions`` holds the measured ones."""

    dimensions: Mapping[str, float]
    quality: float
    semantic: float
    total: float


def part_mean(normalised: Mapping[str, float], table: Sequence[Dimension], part: Part) -> float:
    """The weighted mean of one part. Raises ValueError where a dimension of the part is missing."""
    members = [d for d in table if d.part == part]
    missing = [d.name for d in members if d.name not in normalised]
    if missing:
        raise ValueError(f"{part} cannot be computed without {', '.join(missing)}")
    return sum(d.weight * normalised[d.name] for d in members) / sum(d.weight for d in members)


def score(raw: Mapping[str, float], table: Sequence[Dimension] = SHAPES) -> Score:
    """Score raw values of all dimensions of ``table``. ValueError for a missing or unknown one."""
    unknown = set(raw) - {d.name for d in table}
    if unknown:
        raise ValueError(f"not in the table: {', '.join(sorted(unknown))}")
    normalised = {d.name: d.normalise(raw[d.name]) for d in table if d.name in raw}
    quality, semantic = (part_mean(normalised, table, part) for part in ("quality", "semantic"))
    return Score(normalised, quality, semantic, total(quality, semantic))


def total(quality: float, semantic: float) -> float:
    """VBench's total of the two parts."""
    return (4.0 * quality + semantic) / 5.0
