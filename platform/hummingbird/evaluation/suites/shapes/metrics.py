"""What the judge and the pixels say of one video: raw values by dimension of the shapes table.

No model is asked. Quality is measured on the pixels, with the judge's objects telling subject from
background; semantics are the judge's comparison with the prompt. A video in which the judge sees no object
has no subject to be consistent and no motion to be smooth: both are 0 there, not left out.
"""

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from hummingbird.evaluation.suites.base import Measurement
from hummingbird.shapes.judge import Observation, SeenObject, matches, observe
from hummingbird.shapes.scene import Attributes

Frames = NDArray[np.float32]

_REACH = 1.7  # a star's tips lie at 1.63 times the radius of the disc of its area
_BORDER = 2.0  # pixels of soft edge around an object
_PARTS = 4  # a clip is looked at in quarters: the judge needs at least four frames
_NOISE_MASK = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6.0
_WORST_NOISE = 0.1  # standard deviation, on a scale of 0 to 1, at which nothing clean is left
_EDGE_WINDOW = 7  # pixels
_LEAST_EDGE = 0.1  # local contrast below which there is no edge to be sharp
_LEAST_EDGES = 0.02  # of the picture

LEAST_FRAMES = 4 * _PARTS
"""Frames of the shortest video that can be judged."""


def measure_clip(frames: NDArray[np.uint8], attributes: Attributes) -> Measurement:
    """Measure one video, uint8 RGB (T >= `LEAST_FRAMES`, H, W, 3), made for a prompt with ``attributes``.

    The checks are the judge's comparison with the prompt, by attribute (count, color, shape, motion, background,
    relation).

    Raises ValueError for frames of another kind or too few.
    """
    if len(frames) < LEAST_FRAMES:
        raise ValueError(f"a video of at least {LEAST_FRAMES} frames is needed, not {len(frames)}")
    seen = observe(frames)
    pixels = frames.astype(np.float32) / 255.0
    still = still_region(pixels, seen.objects)
    right = matches(seen, attributes)
    values = {
        "subject consistency": subject_consistency(frames, seen),
        "background consistency": background_consistency(pixels, still),
        "temporal flickering": temporal_stillness(pixels, still),
        "motion smoothness": motion_smoothness(seen.objects),
        "imaging quality": imaging_quality(pixels),
        "dynamic degree": float(any(seen_object.motion is not None for seen_object in seen.objects)),
        **semantics(right, len(attributes.objects)),
    }
    return Measurement(values, right)


def semantic_dimensions(objects: int) -> frozenset[str]:
    """The semantic dimensions that a prompt of one or two ``objects`` asks for."""
    every = {"motion", "color", "scene"}
    return frozenset(
        every | ({"object class"} if objects == 1 else {"multiple objects", "spatial relationship"})
    )


def semantics(right: Mapping[str, bool], objects: int) -> dict[str, float]:
    """The semantic dimensions, from the judge's comparison with a prompt of one or two ``objects``."""
    values = {
        "motion": float(right["motion"]),
        "color": float(right["color"]),
        "scene": float(right["background"]),
    }
    exactly = float(right["shape"] and right["count"])
    if objects == 1:
        return {"object class": exactly, **values}
    return {"multiple objects": exactly, **values, "spatial relationship": float(right["relation"])}


def still_region(pixels: Frames, objects: tuple[SeenObject, ...]) -> NDArray[np.bool_]:
    """Where no object is, (T, H, W): outside a disc that holds the object whatever its shape."""
    count, height, width = pixels.shape[:3]
    scale = min(height, width) / 64.0  # the judge speaks of the central square as 64 x 64
    y, x = np.mgrid[0:height, 0:width] + 0.5
    still = np.ones((count, height, width), np.bool_)
    for seen_object in objects:
        for t in np.flatnonzero(seen_object.areas > 0):
            center_x = width / 2 + (seen_object.centers[t, 0] - 32.0) * scale
            center_y = height / 2 + (seen_object.centers[t, 1] - 32.0) * scale
            radius = (_REACH * np.sqrt(seen_object.areas[t] / np.pi) + _BORDER) * scale
            still[t] &= (x - center_x) ** 2 + (y - center_y) ** 2 > radius**2
    return still


def subject_consistency(frames: NDArray[np.uint8], seen: Observation) -> float:
    """The share of objects and quarters of the clip in which an object keeps the clip's color and shape."""
    if not seen.objects:
        return 0.0
    consistent = []
    for quarter in np.array_split(frames, _PARTS):
        quarter_objects = [(o.color, o.shape) for o in observe(quarter).objects]
        for seen_object in seen.objects:
            same = seen_object.shape is not None and (seen_object.color, seen_object.shape) in quarter_objects
            if same:
                quarter_objects.remove((seen_object.color, seen_object.shape))
            consistent.append(same)
    return float(np.mean(consistent))


def background_consistency(pixels: Frames, still: NDArray[np.bool_]) -> float:
    """1 - mean absolute difference of the background to the first frame's; 0 where no background is seen."""
    return _agreement(pixels[1:], pixels[:1], still[1:] & still[:1])


def temporal_stillness(pixels: Frames, still: NDArray[np.bool_]) -> float:
    """1 - mean absolute difference of neighboring frames outside objects (VBench's temporal flickering)."""
    return _agreement(pixels[1:], pixels[:-1], still[1:] & still[:-1])


def _agreement(frames: Frames, reference: Frames, mask: NDArray[np.bool_]) -> float:
    if not mask.any():
        return 0.0
    return 1.0 - float(np.abs(frames - reference).mean(-1)[mask].mean())


def motion_smoothness(objects: tuple[SeenObject, ...]) -> float:
    """1 - mean second difference of center and radius over the radius, at most 1 each; 0 where not seen."""
    if not objects:
        return 0.0
    values = []
    for seen_object in objects:
        radii = np.where(seen_object.areas > 0, np.sqrt(seen_object.areas / np.pi), np.nan)
        path = np.column_stack([seen_object.centers, radii])
        bend = np.linalg.norm(np.diff(path, n=2, axis=0), axis=1) / radii[1:-1]
        values.append(1.0 - np.minimum(np.nan_to_num(bend, nan=1.0), 1.0).mean())
    return float(np.mean(values))


def imaging_quality(pixels: Frames) -> float:
    """Sharpness times cleanness, the mean over frames."""
    return float(np.mean([sharpness(frame) * cleanness(frame) for frame in pixels]))


def sharpness(frame: Frames) -> float:
    """The steepest step from pixel to pixel over the local contrast, the mean over all edges; 0 without
    edges.

    1 for a step within one pixel, about 0.4 / sigma for an edge blurred by a Gaussian of ``sigma`` pixels.
    """
    across, down = np.abs(np.diff(frame, axis=1))[:-1], np.abs(np.diff(frame, axis=0))[:, :-1]
    window = np.ones((_EDGE_WINDOW, _EDGE_WINDOW), np.uint8)
    step = cv2.dilate(np.maximum(across, down).max(-1), window)
    contrast = (cv2.dilate(frame, window) - cv2.erode(frame, window)).max(-1)[:-1, :-1]
    edges = contrast > _LEAST_EDGE
    return (
        float(np.minimum(step[edges] / contrast[edges], 1.0).mean()) if edges.mean() > _LEAST_EDGES else 0.0
    )


def cleanness(frame: Frames) -> float:
    """1 - noise over the worst: the median answer to Immerkaer's mask, which straight edges leave at 0."""
    answer = np.abs(cv2.filter2D(frame.mean(-1), -1, _NOISE_MASK))
    return max(0.0, 1.0 - float(np.median(answer)) / 0.6745 / _WORST_NOISE)
