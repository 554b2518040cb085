"""Training samples from clips: frames at a rate, cropped around the center to the samples' aspect and scaled."""

import cv2
import numpy as np

from hummingbird_data.reading.clip_frames import Frames, window


def training_frames(frames: Frames, fps: float, rate: float, count: int, height: int, width: int) -> Frames:
    """``count`` frames at ``rate`` a second from the middle of a clip, (count, height, width, 3) uint8.

    Raises ValueError when the clip is too short.
    """
    chosen = window(frames, fps, rate, count)
    tall, wide = chosen.shape[1:3]
    scale = min(tall / height, wide / width)
    rows, columns = min(tall, round(height * scale)), min(wide, round(width * scale))
    top, left = (tall - rows) // 2, (wide - columns) // 2
    cropped = chosen[:, top : top + rows, left : left + columns]
    method = cv2.INTER_AREA if scale >= 1 else cv2.INTER_CUBIC
    return np.stack([cv2.resize(frame, (width, height), interpolation=method) for frame in cropped])
