"""Clips: shots cut to a window of lengths and written as mp4 files at a constant frame rate."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np

from hummingbird_data.reading.borders import Box
from hummingbird_data.reading.timeline import Frame


@dataclass(frozen=True)
class ClipSettings:
    """Lengths in seconds, the most pixels of the shorter side, and x264's quality (lower is better)."""

    min_seconds: float = 2.0
    max_seconds: float = 4.0
    short_side: int = 480
    crf: int = 12


@dataclass(frozen=True)
class Window:
    """Frames ``first`` up to ``stop`` (not included) of the source; times in seconds as stamped there."""

    shot_index: int
    first: int
    stop: int
    start: float
    end: float


def cut_windows(
    shots: Iterable[tuple[int, int]], times: list[float], fps: Fraction, settings: ClipSettings
) -> list[Window]:
    """Every shot as windows of even lengths, none longer than ``max_seconds``.

    A window ends where the next frame begins, and one frame after its last one before a gap of the clock. A shot
    shorter than ``min_seconds`` stays one window: the verdict drops it as too short. Where even parts would be too
    short, as many are cut as fit, each as long as may be, from the middle of the shot, and the rest is left over.
    """
    windows = []
    step = float(1 / fps)
    bounds = [*times, times[-1] + step]
    ends = [0.0] + [b if b - a < 1.5 * step else a + step for a, b in pairwise(bounds)]
    half = 0.5 * step  # tolerance: a shot of exactly max_seconds is one window
    for shot_index, (first, stop) in enumerate(shots):
        seconds = ends[stop] - bounds[first]
        parts = max(1, math.ceil((seconds - half) / settings.max_seconds))
        edges = [bounds[first] + seconds * part / parts for part in range(1, parts)]
        inner = [int(np.searchsorted(times, edge - half)) for edge in edges]
        cuts = [first, *inner, stop]
        if parts > 1 and min(ends[b] - bounds[a] for a, b in pairwise(cuts)) < settings.min_seconds - half:
            parts = max(1, int((seconds + half) / settings.max_seconds))
            cuts = _longest(bounds, first, stop, parts, half, settings)
        for a, b in pairwise(cuts):
            if b > a:
                windows.append(Window(shot_index, a, b, bounds[a], ends[b]))
    return windows


def _longest(
    bounds: list[float], first: int, stop: int, parts: int, half: float, settings: ClipSettings
) -> list[int]:
    """Edges of ``parts`` windows of ``max_seconds`` in the middle of a shot that is a little longer."""
    rest = bounds[stop] - bounds[first] - parts * settings.max_seconds
    cuts = [max(first, int(np.searchsorted(bounds, bounds[first] + rest / 2, side="right")) - 1)]
    for _ in range(parts):
        longest = bounds[cuts[-1]] + settings.max_seconds
        at = int(np.searchsorted(bounds, longest + half / 50, side="right")) - 1
        if bounds[at] - bounds[cuts[-1]] < settings.min_seconds - half:
            at = int(np.searchsorted(bounds, longest + half, side="right")) - 1
        cuts.append(min(stop, at))
    return cuts


@dataclass(frozen=True)
class WrittenClip:
    """A clip's file and what is in it."""

    window: Window
    path: Path
    width: int
    height: int
    frames: int


def write_clips(
    frames: Iterable[Frame],
    windows: list[Window],
    fps: Fraction,
    folder: Path,
    settings: ClipSettings,
    boxes: Sequence[Box] = (),
) -> list[WrittenClip]:
    """Writes each window as ``folder/<number>.mp4`` (H.264); the same frames give the same bytes.

    Frames are shown at a constant ``fps``: of a variable rate, a frame is repeated or left out. ``windows``
    are in order and do not overlap; frames of none are skipped. One frame is held at a time. Of each frame the
    part in its shot's box is written (``boxes``, by shot index; none: all of it).
    """
    written: list[WrittenClip] = []
    writer: _Writer | None = None
    for index, frame in enumerate(frames):
        if len(written) == len(windows):
            break
        window = windows[len(written)]
        if index < window.first:
            continue
        if boxes:
            frame = Frame(frame.time, boxes[window.shot_index].crop(frame.rgb))
        if writer is None:
            writer = _Writer(folder / f"{len(written):06d}.mp4", window, fps, settings.crf, frame)
        else:
            writer.show(frame)
        if index == window.stop - 1:
            written.append(writer.close())
            writer = None
    if len(written) != len(windows):
        raise RuntimeError(f"frames ended before window {len(written)} of {len(windows)} was written")
    return written


class _Writer:
    """Writes one window; each frame is shown from its own time until the next one's."""

    def __init__(self, path: Path, window: Window, fps: Fraction, crf: int, frame: Frame) -> None:
        self.path, self.window, self.fps = path, window, fps
        self.current, self.count = frame, 0
        self.height, self.width = frame.rgb.shape[:2]
        self.container = av.open(str(path), "w", options={"movflags": "+faststart", "fflags": "+bitexact"})
        # The file is named by its content, so the same frames must give the same bytes: x264's depend on the number
        # of threads, and with its macroblock tree differ from call to call.
        options = {
            "crf": str(crf),
            "preset": "veryfast",
            "threads": "1",
            "g": "24",
            "x264-params": "mbtree=0",
        }
        self.stream = self.container.add_stream("libx264", rate=fps, options=options)
        self.stream.width, self.stream.height, self.stream.pix_fmt = self.width, self.height, "yuv420p"

    def show(self, frame: Frame) -> None:
        self._until(frame.time)
        self.current = frame

    def close(self) -> WrittenClip:
        self._until(self.window.end)
        if self.count == 0:
            self._write()
        self.container.mux(self.stream.encode())
        self.container.close()
        return WrittenClip(self.window, self.path, self.width, self.height, self.count)

    def _until(self, time: float) -> None:
        # Half a frame of tolerance, for time stamps that are rounded.
        while self.window.start + float((self.count + Fraction(1, 2)) / self.fps) < time:
            self._write()

    def _write(self) -> None:
        picture = av.VideoFrame.from_ndarray(self.current.rgb, format="rgb24")
        picture = picture.reformat(format="yuv420p", threads=1)  # as in decode.py; the bytes are the same
        picture.pts = self.count
        picture.time_base = 1 / self.fps
        self.container.mux(self.stream.encode(picture))
        self.count += 1
