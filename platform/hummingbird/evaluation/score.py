"""The arithmetic of a score, in VBench's form (arXiv 2311.17982), for whatever dimensions a suite declares.

A dimension's raw values are averaged over videos, min-max normalized and weighted; a part (Quality, Semantic) is the
weighted mean of its dimensions, the total the weighted mean of the parts (VBench's: (4 Quality + Semantic) / 5).
Averages outside [minimum, maximum] are clipped: no dimension pays for another. A dimension without a value is missing:
the parts that need it, and the total, are then not computed.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

TOTAL = "total"

VBENCH_PARTS: Mapping[str, float] = {"quality": 4.0, "semantic": 1.0}
"""The weights of VBench's parts in its total."""

_ROUNDING = 1e-6  # by which a value may leave its range: means of float32


@dataclass(frozen=True)
class Dimension:
    """One dimension of a suite; larger is better.

    Attributes:
        minimum, maximum: averages worth 0 and 1.
        weight: in its part.
        part: the part of the total that it belongs to; none: reported beside the total.
        definition: one sentence, for reports.
        lowest, highest: the range of a video's raw value. Values outside it are errors, and a video that could not be
            made counts as ``lowest``.
    """

    name: str
    minimum: float
    maximum: float
    weight: float
    part: str | None
    definition: str = ""
    lowest: float = 0.0
    highest: float = 1.0

    def normalize(self, raw: float) -> float:
        """An average to [0, 1], clipped."""
        return min(max((raw - self.minimum) / (self.maximum - self.minimum), 0.0), 1.0)

    def check(self, value: float, video: str) -> None:
        """Raises ValueError, with the names of both, where the value of a video is NaN or outside its range."""
        if not math.isfinite(value):
            raise ValueError(f"{video}: {self.name} is {value}, which is no number")
        if not self.lowest - _ROUNDING <= value <= self.highest + _ROUNDING:
            raise ValueError(
                f"{video}: {self.name} is {value:g}, outside its range of {self.lowest:g} to {self.highest:g}"
            )


@dataclass(frozen=True)
class Score:
    """Normalized dimensions and weighted means, all in [0, 1].

    Attributes:
        dimensions: those that were measured.
        parts: those all of whose dimensions were measured.
        total: None where a part is missing.
    """

    dimensions: Mapping[str, float]
    parts: Mapping[str, float]
    total: float | None


def part_mean(normalized: Mapping[str, float], table: Sequence[Dimension], part: str) -> float:
    """The weighted mean of one part. Raises ValueError where a dimension of the part is missing."""
    members = [d for d in table if d.part == part]
    missing = [d.name for d in members if d.name not in normalized]
    if missing:
        raise ValueError(f"{part} cannot be computed without {', '.join(missing)}")
    return sum(d.weight * normalized[d.name] for d in members) / sum(d.weight for d in members)


def score(raw: Mapping[str, float], table: Sequence[Dimension], parts: Mapping[str, float]) -> Score:
    """Scores averages of raw values, by dimension.

    Args:
        raw: of the dimensions that were measured.
        table: all dimensions.
        parts: the weights of the parts in the total.

    Raises:
        ValueError: a value of a dimension that the table does not have.
    """
    unknown = set(raw) - {d.name for d in table}
    if unknown:
        raise ValueError(f"not in the table: {', '.join(sorted(unknown))}")
    normalized = {d.name: d.normalize(raw[d.name]) for d in table if d.name in raw}
    whole = [
        part for part in parts if all(d.name in normalized for d in table if d.part == part)
    ]  # parts that can be computed
    means = {part: part_mean(normalized, table, part) for part in whole}
    return Score(normalized, means, total_score(means, parts) if len(whole) == len(parts) else None)


def total_score(means: Mapping[str, float], parts: Mapping[str, float] = VBENCH_PARTS) -> float:
    """The weighted mean of all parts."""
    return sum(weight * means[part] for part, weight in parts.items()) / sum(parts.values())
