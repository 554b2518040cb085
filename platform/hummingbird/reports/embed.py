"""Media as data URIs, so that the page is one file."""

import base64
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray


def frame_uri(frame: NDArray[np.uint8], height: int = 96) -> str:
    """One uint8 RGB frame (H, W, 3) as a JPEG of ``height`` pixels; small ones grow without smoothing."""
    tall, wide = frame.shape[:2]
    size = (max(round(wide * height / tall), 1), height)
    interpolation = cv2.INTER_AREA if height < tall else cv2.INTER_NEAREST
    resized = cv2.resize(frame, size, interpolation=interpolation)
    done, data = cv2.imencode(
        ".jpg", cv2.cvtColor(resized, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 82]
    )
    if not done:
        raise ValueError(f"a frame of shape {frame.shape} could not be encoded as JPEG")
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()


def strip_uris(frames: NDArray[np.uint8], count: int = 5, height: int = 96) -> tuple[str, ...]:
    """``count`` evenly spaced frames of a clip (T, H, W, 3), from its first to its last."""
    indices = np.linspace(0, len(frames) - 1, min(count, len(frames))).round().astype(int)
    return tuple(frame_uri(frames[i], height) for i in indices)


def video_uri(mp4: bytes | Path) -> str:
    """An mp4 file or its bytes."""
    data = mp4 if isinstance(mp4, bytes) else mp4.read_bytes()
    return "data:video/mp4;base64," + base64.b64encode(data).decode()
