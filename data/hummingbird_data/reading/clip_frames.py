"""Frames of a clip that curation wrote itself (trusted): reading, and picking some by time."""

from functools import lru_cache

import av
import numpy as np
from hummingbird.core.files import as_path
from hummingbird.core.scratch import local_copy
from numpy.typing import NDArray

from hummingbird_data.runtime.metrics import decoding
from hummingbird_data.stage import Row

Frames = NDArray[np.uint8]


def clip_frames(row: Row) -> tuple[Frames, float]:
    """All frames (T, H, W, 3) uint8 RGB of the clip of ``row``, and its frame rate.

    The last clips read in a process are kept, so stages that follow each other there decode once.
    """
    return _read(str(local_copy(as_path(row["storage"]) / row["media_path"], unchanging=True)))


@lru_cache(maxsize=2)
def _read(path: str) -> tuple[Frames, float]:
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1  # the cluster's cores are shared out by Ray
        frames = [
            frame.to_ndarray(format="rgb24", threads=1) for frame in decoding.each(container.decode(stream))
        ]
        rate = stream.average_rate
    if not frames or not rate:
        raise ValueError(f"no frames in the clip {path}")
    result: Frames = np.stack(frames).astype(np.uint8, copy=False)
    result.setflags(write=False)
    return result, float(rate)


def evenly(frames: Frames, count: int) -> Frames:
    """``count`` frames from first to last at even distances; all where there are fewer."""
    if len(frames) <= count:
        return frames
    chosen: Frames = frames[np.linspace(0, len(frames) - 1, count).round().astype(int)]
    return chosen


def indices_at_rate(total: int, fps: float, rate: float) -> NDArray[np.int64]:
    """Which of ``total`` frames are shown at times 0, 1 / rate, 2 / rate, ...; all where ``rate`` is higher."""
    if rate >= fps:
        return np.arange(total)
    count = int((total - 1) / fps * rate + 1e-6) + 1
    return _shown(np.arange(count) / rate, fps, total)


def lasts(total: int, fps: float, rate: float, count: int) -> bool:
    """Whether ``total`` frames last until the last of ``count`` frames at ``rate`` a second."""
    return (count - 1) / rate < total / fps


def window(frames: Frames, fps: float, rate: float, count: int) -> Frames:
    """``count`` frames at ``rate`` a second from the middle of the clip.

    Raises ValueError when the clip is too short for the last of them.
    """
    length = len(frames) / fps
    if not lasts(len(frames), fps, rate, count):
        raise ValueError(f"{count} frames at {rate:g} a second need more than the clip's {length:.2f} s")
    start = max(0.0, (length - count / rate) / 2)
    return frames[_shown(start + np.arange(count) / rate, fps, len(frames))]


def _shown(times: NDArray[np.float64], fps: float, total: int) -> NDArray[np.int64]:
    return np.minimum((times * fps + 1e-6).astype(np.int64), total - 1)
