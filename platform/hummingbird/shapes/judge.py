"""The judge: says what a clip shows by classic image analysis, with no model.

``observe`` looks at the frames alone; ``matches`` compares what it saw with what a prompt states. Where the
evidence is weak an attribute is None, which matches nothing: the judge does not guess. It only judges:
nothing that trains, filters or sets a threshold may ask it.
"""

import math
from dataclasses import dataclass
from itertools import permutations

import cv2
import numpy as np
from numpy.typing import NDArray

from hummingbird.shapes.detectors import Blob, find_blobs, fit_background, fit_shape
from hummingbird.shapes.scene import DIRECTIONS, RELATIONS, SIZE, Attributes

# What one clip's movement is measured in: the smallest travel (of the side), log growth of the radius and
# rotation that the world's own two-second scenes have.
_TRAVEL, _GROWTH, _ROTATION = 0.20, math.log(1.8), math.radians(56.0)
_LEAST_MOTION = 0.3  # in those units; scenes drawn over 3.6 s, seen for 2, reach 0.5
_MIXED_MOTION = 0.6  # a second motion of this share of the first leaves the motion unnamed


@dataclass(frozen=True)
class SeenObject:
    """One object. Lengths are in pixels of the 64 x 64 frame.

    ``centers`` (T, 2) is (x, y) and NaN where the object is not seen; ``areas`` (T,) is 0 there. ``angles``
    (T,) is the best template's rotation in radians, clockwise. ``fit`` is the cosine similarity of the masks
    with the best shape's template, ``margin`` its lead over the second shape's: the evidence for ``shape``.
    """

    shape: str | None
    color: str | None
    motion: str | None
    centers: NDArray[np.float64]
    areas: NDArray[np.float64]
    angles: NDArray[np.float64]
    fit: float
    margin: float


@dataclass(frozen=True)
class Observation:
    """What a clip shows. Objects are ordered left to right, or top to bottom where that spread is larger.

    ``relation`` is the first object's place relative to the second's: with that order "left of" or "above",
    and None unless there are exactly two objects, clearly beside or above each other over the clip.
    """

    objects: tuple[SeenObject, ...]
    background: str | None
    relation: str | None


def observe(frames: NDArray[np.uint8]) -> Observation:
    """Look at ``frames``, uint8 RGB (T, H, W, 3) with at least 4 frames that span about two seconds.

    Other sizes than 64 x 64 are cut to the central square and resized.
    """
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or len(frames) < 4:
        raise ValueError(f"expected uint8 frames (T >= 4, H, W, 3), not {frames.dtype} {frames.shape}")
    frames = _to_square(frames)
    blobs, still = find_blobs(frames)
    seen = [_describe(blob) for blob in blobs]
    if len(seen) > 1:
        middles = np.array([np.nanmean(s.centers, 0) for s in seen])
        axis = int(np.argmax(np.ptp(middles, 0)))
        seen = [seen[i] for i in np.argsort(middles[:, axis], kind="stable")]
    relation = relation_of(seen[0], seen[1]) if len(seen) == 2 else None
    return Observation(tuple(seen), fit_background(*still), relation)


def relation_of(first: SeenObject, second: SeenObject) -> str | None:
    """Where ``first`` is relative to ``second`` over the frames that show both, None if no axis is clear."""
    offsets = first.centers - second.centers
    offsets = offsets[~np.isnan(offsets).any(1)]
    if len(offsets) == 0:
        return None
    dx, dy = offsets.mean(0)
    if max(abs(dx), abs(dy)) < 2 * min(abs(dx), abs(dy)) or max(abs(dx), abs(dy)) < 4:
        return None
    unit = (float(np.sign(dx)), 0.0) if abs(dx) > abs(dy) else (0.0, float(np.sign(dy)))
    return next(name for name, direction in RELATIONS.items() if direction == unit)


def matches(observation: Observation, attributes: Attributes) -> dict[str, bool]:
    """Which of the prompted attributes the clip shows.

    Keys: count, color, shape, motion, background, and relation where the prompt states one. Color, shape and
    motion must hold for every prompted object; the seen objects are assigned to the prompted ones so that
    most colors and shapes agree, and surplus objects only fail the count. A relation holds only between
    objects that each agree with the prompt in color or shape.
    """
    expected, seen = attributes.objects, observation.objects
    padded: list[SeenObject | None] = [*seen, *[None] * max(0, len(expected) - len(seen))]

    def agreement(assigned: tuple[SeenObject | None, ...]) -> int:
        pairs = zip(assigned, expected, strict=True)
        return sum(2 * (o.color == c) + (o.shape == s) for o, (c, s) in pairs if o is not None)

    best = max(permutations(padded, len(expected)), key=agreement)
    pairs = list(zip(best, expected, strict=True))
    result = {
        "count": len(seen) == len(expected),
        "color": all(o is not None and o.color == c for o, (c, _) in pairs),
        "shape": all(o is not None and o.shape == s for o, (_, s) in pairs),
        "motion": all(o is not None and o.motion == attributes.motion for o in best),
        "background": observation.background == attributes.background,
    }
    if attributes.relation is not None:
        known = all(o is not None and (o.color == c or o.shape == s) for o, (c, s) in pairs)
        first, second = best
        result["relation"] = (
            known
            and first is not None
            and second is not None
            and relation_of(first, second) == attributes.relation
        )
    return result


def _describe(blob: Blob) -> SeenObject:
    fitted = fit_shape(blob)
    motion = _motion(blob, fitted.rotation)
    return SeenObject(
        fitted.shape, blob.color, motion, blob.centers, blob.areas, fitted.angles, fitted.fit, fitted.margin
    )


def _motion(blob: Blob, rotation: float) -> str | None:
    """The one clear motion over the whole clip, from straight lines through centers and log radii."""
    frames = len(blob.areas)
    seen = np.flatnonzero(blob.areas > 0)
    line = np.polyfit(seen, np.column_stack([blob.centers[seen], 0.5 * np.log(blob.areas[seen])]), 1)[0]
    dx, dy, growth = line * frames
    sizes = {name: (dx * x + dy * y) / SIZE / _TRAVEL for name, (x, y) in DIRECTIONS.items()}
    sizes["growing"] = growth / _GROWTH
    sizes["shrinking"] = -growth / _GROWTH  # not in this world, but a clip may show it
    sizes["turning"] = abs(rotation) / _ROTATION
    ranked = sorted(sizes, key=lambda name: sizes[name], reverse=True)
    first, second = ranked[:2]
    if sizes[first] < _LEAST_MOTION or sizes[second] > _MIXED_MOTION * sizes[first] or first == "shrinking":
        return None
    return first


def _to_square(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = frames.shape[1:3]
    if (height, width) == (SIZE, SIZE):
        return frames
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    cut = frames[:, top : top + side, left : left + side]
    interpolation = cv2.INTER_AREA if side > SIZE else cv2.INTER_LINEAR
    return np.stack([cv2.resize(f, (SIZE, SIZE), interpolation=interpolation) for f in cut]).astype(np.uint8)
