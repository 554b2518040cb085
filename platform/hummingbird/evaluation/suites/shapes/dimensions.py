"""The table of the shapes world: VBench's weights, with raw values that
`hummingbird.evaluation.suites.shapes.metrics` computes from pixels and from the judge's observations, without a model.

It was fixed before any student was trained. ``maximum`` is what scenes drawn by `hummingbird.shapes.scene` get (their
mean, rounded down), ``minimum`` a level at which nobody would call the quality acceptable: a background that changes
by 15 % of the range, paths that jitter by half a radius, edges blurred by a twentieth of the side. So drawn scenes
score 1 and noise near 0.
"""

from hummingbird.evaluation.score import Dimension

VERSION = 2
"""Of the table and its measures. 2: the world's things turn more slowly, and the judge asks for less of it."""

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
        "1 - mean absolute difference between neighboring frames, outside objects",
    ),
    Dimension(
        "motion smoothness", 0.5, 0.98, 1.0, "quality",
        "1 - mean second difference of the objects' centers and radii, in units of their radius",
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
