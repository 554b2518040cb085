"""Training samples from clips: frames at a rate, cropped to the center square and scaled."""

import cv2
import numpy as np

from hummingbird_data.reading.clip_frames import Frames, window


def training_frames(frames: Frames, fps: float, rate: float, count: int, size: int) -> Frames:
    """``count`` frames at ``rate`` a second from the middle of a clip, (count, size, size, 3) uint8.

    Raises ValueError when the clip is too short.
    """
    chosen = window(frames, fps, rate, count)
    height, width = chosen.shape[1:3]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = chosen[:, top : top + side, left : left + side]
    method = cv2.INTER_AREA if side >= size else cv2.INTER_CUBIC
    return np.stack([cv2.resize(frame, (size, size), interpolation=method) for frame in square])
