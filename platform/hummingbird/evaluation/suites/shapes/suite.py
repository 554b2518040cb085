"""The suite of the shapes world: prompts that state a scene, and a judge that sees whether a video shows it."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hummingbird.core.errors import InputError
from hummingbird.evaluation.suites.base import EvaluationPrompt, Measurement, Suite
from hummingbird.evaluation.suites.shapes.dimensions import LEFT_OUT, SHAPES, VERSION
from hummingbird.evaluation.suites.shapes.metrics import LEAST_FRAMES, measure_clip, semantic_dimensions
from hummingbird.evaluation.suites.shapes.prompts import draw_prompts
from hummingbird.shapes.scene import Attributes, parse_caption


class ShapesSuite(Suite):
    """Prompts of one object and of two in turn; no model and no torch is loaded to judge."""

    version = VERSION
    dimensions = SHAPES
    left_out = LEFT_OUT
    min_frames = LEAST_FRAMES

    def text_dimensions(self, text: str) -> frozenset[str]:
        return frozenset(d.name for d in SHAPES if d.part == "quality") | semantic_dimensions(
            len(_attributes(text).objects)
        )

    def prompts(self, count: int, seed: int) -> Sequence[EvaluationPrompt]:
        return draw_prompts(count, seed)

    def measure(self, frames: NDArray[np.uint8], prompt: EvaluationPrompt) -> Measurement:
        return measure_clip(frames, _attributes(prompt.text))

    def figures(self, videos: Sequence[tuple[EvaluationPrompt, Measurement | None]]) -> Mapping[str, float]:
        """For prompts of one object: the share of videos with each attribute right, and with all."""
        single = [measured for prompt, measured in videos if len(_attributes(prompt.text).objects) == 1]
        if not single:
            return {}
        checks = [{} if measured is None else measured.checks for measured in single]
        names = ("color", "motion", "shape", "background", "count")
        shares = {
            name: float(np.mean([video_checks.get(name, False) for video_checks in checks])) for name in names
        }
        shares["all"] = float(
            np.mean([bool(video_checks) and all(video_checks.values()) for video_checks in checks])
        )
        return {f"one object, {name} right": share for name, share in shares.items()}


def _attributes(text: str) -> Attributes:
    attributes = parse_caption(text)
    if attributes is None:
        raise InputError(
            f"the suite shapes cannot judge the prompt {text!r}, which is none of the small world: "
            "evaluate.suite=prompts takes any"
        )
    return attributes
