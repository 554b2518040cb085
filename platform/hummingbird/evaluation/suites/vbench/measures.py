"""VBench's measures that need no model."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


def temporal_flickering(frames: NDArray[np.uint8]) -> float:
    """1 - mean absolute difference of neighboring frames over 255, of frames (T >= 2, H, W, 3).

    As in VBench, nothing tells motion from flicker: VBench measures it on prompts of scenes that stand still.
    """
    differences = [
        np.abs(after.astype(np.float32) - before).mean(dtype=np.float64) for before, after in pairwise(frames)
    ]
    return 1.0 - float(np.mean(differences)) / 255.0
