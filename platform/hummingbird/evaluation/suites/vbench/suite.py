"""VBench's suite, as far as it can be measured without its models."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hummingbird.core.errors import InputError
from hummingbird.evaluation.suites.base import EvaluationPrompt, Measurement, Suite
from hummingbird.evaluation.suites.vbench.dimensions import FLICKERING, NEEDS, VBENCH
from hummingbird.evaluation.suites.vbench.measures import temporal_flickering


class VBenchSuite(Suite):
    """All sixteen dimensions, on prompts from a file, whose lines may say which ``dimensions`` they are for."""

    dimensions = VBENCH
    min_frames = 2

    @property
    def missing(self) -> Mapping[str, str]:
        return {
            name: f"is measured with {needs.model}, which is not part of this"
            for name, needs in NEEDS.items()
        }

    def prompts(self, count: int, seed: int) -> Sequence[EvaluationPrompt]:
        raise InputError(
            "this suite brings no prompts of its own: name a file with evaluate.prompts=FILE.jsonl, "
            'lines {"prompt": "...", "seed": 3}'
        )

    def measure(self, frames: NDArray[np.uint8], prompt: EvaluationPrompt) -> Measurement:
        covers_flickering = FLICKERING in self.prompt_dimensions(prompt)
        return Measurement({FLICKERING: temporal_flickering(frames)} if covers_flickering else {})
