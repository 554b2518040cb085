"""One video against its prompt, for a process that judges and nothing else: no model and no torch is loaded."""

import numpy as np
from numpy.typing import NDArray

from hummingbird.evaluation.suites.shapes.metrics import Measured, measure
from hummingbird.shapes.scene import parse_caption


def judge_frames(video: tuple[NDArray[np.uint8], str]) -> Measured:
    """Raw values, and what is right, of frames (T, H, W, 3) made for a prompt.

    Raises:
        ValueError: a prompt that states nothing of the small world, or frames of another kind or too few.
    """
    frames, prompt = video
    attributes = parse_caption(prompt)
    if attributes is None:
        raise ValueError(f"the judge cannot read the prompt {prompt!r}")
    return measure(np.asarray(frames), attributes)
