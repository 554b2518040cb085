"""Motion of a clip from dense optical flow: how much there is, freezes, zooms; and flicker of the light."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import cv2
import numpy as np
from hummingbird.config.curate import CurateSettings
from hummingbird.config.settings import Settings as SettingsTree
from numpy.typing import NDArray

from hummingbird_data.filters.base import Filter, Limits, Threshold
from hummingbird_data.reading.clip_frames import Frames, clip_frames, indices_at_rate
from hummingbird_data.stage import Row, Stage

_STEP = 2  # pixels between the points of the grid that a zoom is fitted to
_EDGE = 40.0  # least Sobel response of an edge
_FEW_EDGES = 32  # with fewer there is nothing to fit a zoom to
_ITERATIONS = 10
_BLOCK = 8  # pixels: side of the blocks in which a change of the picture is looked for
_CHANGED, _REFRESHED = 3.0, 6.0
"""Gray levels by which a coder may change a block of a still picture: at any time, and where it refreshes the picture
(3 to 4 were seen, and 9 or more where objects move slowly)."""
_NOISE_SHARE = 0.15  # coding noise lies below this share of a clip's strong changes, if anything moves in it

_WHOLE = 0.85  # share of a clip; the last picture's own time is in no stretch between two pictures
_BACK = 2  # frames: each picture may be shown twice

Gray = NDArray[np.uint8]
Seconds = NDArray[np.float64]  # between the frames looked at, which are not all as far apart


@dataclass
class MotionStage(Stage):
    """``rate``: frames a second looked at; ``side``: pixels of their shorter side.

    The scores:
    - ``motion_score``: speed of the fastest hundredth of the picture, in widths a second (mean in time);
    - ``freeze_score``: longest stretch without any change, in seconds;
    - ``zoom_score``: rate of growth of the whole picture (1/s) by the radial part of the flow; the size of a
      minority of the picture that grows does not count;
    - ``flicker_score``: root mean square jump of the brightness, there and back, as a share of it.
    """

    name: ClassVar[str] = "motion"
    inputs: ClassVar[tuple[str, ...]] = ("media_path", "storage")
    outputs: ClassVar[tuple[str, ...]] = ("motion_score", "freeze_score", "zoom_score", "flicker_score")
    rate: float = 8.0
    side: int = 128

    def process(self, row: Row) -> Iterable[Row]:
        frames, fps = clip_frames(row)
        small = shrink(frames, self.side)
        indices = indices_at_rate(len(small), fps, self.rate)
        seconds = np.diff(indices) / fps
        gray, change = to_gray(small[indices]), changes(small[indices])
        flows = optical_flow(gray)
        return [
            {
                "motion_score": _rounded(motion_score(flows, change, seconds)),
                "freeze_score": _rounded(freeze_score(change, seconds)),
                "zoom_score": _rounded(zoom_score(flows, gray, seconds)),
                "flicker_score": _rounded(flicker_score(to_gray(small))),
            }
        ]


def shrink(frames: Frames, side: int) -> Frames:
    """Frames (T, H, W, 3) with the shorter side at most ``side`` pixels."""
    height, width = frames.shape[1:3]
    scale = min(1.0, side / min(height, width))
    size = (max(_BLOCK, round(width * scale)), max(_BLOCK, round(height * scale)))
    return np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames])


def to_gray(frames: Frames) -> Gray:
    """Gray frames (T, H, W) of ``frames`` (T, H, W, 3)."""
    return np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames])


def changes(frames: Frames) -> NDArray[np.float32]:
    """Gray levels by which any color changes between neighbors of ``frames`` (T, H, W, 3): (T - 1, H, W).

    Each is the mean over a block of ``_BLOCK`` pixels around the point.
    """
    result = np.zeros((len(frames) - 1, *frames.shape[1:3]), np.float32)
    for index, (a, b) in enumerate(pairwise(frames)):
        result[index] = cv2.blur(cv2.absdiff(a, b).max(-1).astype(np.float32), (_BLOCK, _BLOCK))
    return result


def coding_noise(change: NDArray[np.float32]) -> float:
    """Changes (T, H, W) of a clip up to so many gray levels are its coder's and not the scene's."""
    strong = float(np.percentile(change.max(axis=(1, 2)), 90))
    if strong <= _REFRESHED:
        return _REFRESHED  # nothing moves
    return float(np.clip(_NOISE_SHARE * strong, _CHANGED, _REFRESHED))


def optical_flow(gray: Gray) -> NDArray[np.float32]:
    """Dense flow (dx, dy) in pixels between neighbors of ``gray`` (T, H, W): (T - 1, H, W, 2)."""
    cv2.setNumThreads(1)
    method = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    flows = [np.asarray(method.calc(a, b, np.zeros((*a.shape, 2), np.float32))) for a, b in pairwise(gray)]
    return np.stack(flows) if flows else np.zeros((0, *gray.shape[1:], 2), np.float32)


def _rounded(score: float) -> float:
    # Sums of floats end in other last digits where arrays lie at other addresses; rows must not.
    return round(score, 6)


def motion_score(flows: NDArray[np.float32], change: NDArray[np.float32], seconds: Seconds) -> float:
    """Speed of the fastest hundredth of the picture, in widths a second; what does not change has none."""
    if not len(flows):
        return 0.0
    # Flow alone is not enough: on even or periodic texture coding noise makes it drift.
    moving = change > coding_noise(change)
    speed = np.percentile(np.linalg.norm(flows, axis=-1) * moving, 99, axis=(1, 2))
    return float(speed.sum() / seconds.sum() / flows.shape[2])


def freeze_score(change: NDArray[np.float32], seconds: Seconds) -> float:
    """Longest stretch, in seconds, in which no part of the picture changes by more than coding noise."""
    if not len(change):
        return 0.0
    most = change.max(axis=(1, 2))
    longest = run = 0.0
    for moving, step in zip(most > coding_noise(change), seconds, strict=True):
        run = 0.0 if moving else run + float(step)
        longest = max(longest, run)
    return longest


def zoom_score(flows: NDArray[np.float32], gray: Gray, seconds: Seconds) -> float:
    """Absolute rate at which the whole picture grows or shrinks, 1/s (median in time).

    The flow between two frames is fitted by a shift, a turn and a growth that most edges agree on, so objects
    that grow or move before a still background leave little trace.
    """
    growth = [_growth(flow, frame) for flow, frame in zip(flows, gray, strict=False)]
    return float(abs(np.median(growth / seconds))) if growth else 0.0


def _growth(flow: NDArray[np.float32], frame: Gray) -> float:
    """Growth between two frames. Only the flow across edges counts: along a stripe it cannot be seen."""
    dx, dy = cv2.Sobel(frame, cv2.CV_32F, 1, 0, ksize=3), cv2.Sobel(frame, cv2.CV_32F, 0, 1, ksize=3)
    strength = cv2.magnitude(dx, dy)
    ys, xs = np.mgrid[_STEP : frame.shape[0] - _STEP : _STEP, _STEP : frame.shape[1] - _STEP : _STEP]
    edges = strength[ys, xs] > max(_EDGE, float(np.median(strength)))
    ys, xs = ys[edges], xs[edges]
    if len(xs) < _FEW_EDGES:
        return 0.0
    nx, ny = dx[ys, xs] / strength[ys, xs], dy[ys, xs] / strength[ys, xs]
    x, y = xs - frame.shape[1] / 2, ys - frame.shape[0] / 2
    unknowns = np.stack([nx, ny, nx * x + ny * y, ny * x - nx * y], 1).astype(np.float64)
    seen = (nx * flow[ys, xs, 0] + ny * flow[ys, xs, 1]).astype(np.float64)
    # Least absolute deviations, by reweighting: the majority of the edges decides.
    weights = np.ones(len(seen))
    for _ in range(_ITERATIONS):
        root = np.sqrt(weights)
        fit = np.linalg.lstsq(unknowns * root[:, None], seen * root, rcond=1e-6)[0]
        weights = 1 / np.maximum(np.abs(unknowns @ fit - seen), 0.02)
    return float(fit[2])


def flicker_score(gray: Gray) -> float:
    """Root mean square jump of the brightness of the whole picture from frame to frame, as a share of it.

    A jump is what a straight line through the neighbors does not explain, and what is taken back within ``_BACK``
    frames: a fade, or a light that is switched on, goes one way. The brightness is compared at each point and the
    median taken, so moving objects do not count.
    """
    if len(gray) < 3:
        return 0.0
    levels = gray.astype(np.float32)
    base = max(float(np.median(levels)), 16.0)
    steps = np.asarray([float(np.median(b - a)) for a, b in pairwise(levels)])
    back = _taken_back(np.concatenate([[0.0], steps.cumsum()]))
    near = np.max([back[:-2], back[1:-1], back[2:]], axis=0)
    jumps = np.minimum(np.abs(np.diff(steps)) / 2, near)
    return float(np.sqrt(np.mean(jumps**2)) / base)


def _taken_back(track: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far each value of a track (T,) stands out, either way, from values up to ``_BACK`` before and after it."""
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(track, _BACK, mode="edge"), _BACK + 1)
    before, after = windows[: len(track)], windows[_BACK:]
    above = track - np.maximum(before.min(1), after.min(1))
    below = np.minimum(before.max(1), after.max(1)) - track
    return np.asarray(np.maximum(above, below))


class _MotionFilter(Filter):
    """What one pass over the optical flow tells."""

    Settings = CurateSettings

    def stages(self, settings: SettingsTree) -> list[Stage]:
        return [MotionStage()]


class StaticFilter(_MotionFilter):
    """Hardly any motion, or a picture that is frozen for nearly all of the clip."""

    reason = "static"
    scores: ClassVar = {"motion_score": "motion"}
    threshold = Threshold("min_motion", "motion_score", "below")

    def drops(self, row: Row, limits: Limits) -> bool:
        return super().drops(row, limits) or (
            _frozen(row, limits)
            and row["freeze_score"] >= _WHOLE * (row["end_seconds"] - row["start_seconds"])
        )


class FreezeFilter(_MotionFilter):
    """A stretch without change; a static clip is not also called frozen."""

    reason = "freeze"
    scores: ClassVar = {"freeze_score": "freeze"}
    threshold = Threshold("max_freeze", "freeze_score", "from")

    def drops(self, row: Row, limits: Limits) -> bool:
        return _frozen(row, limits) and not StaticFilter(self.settings).drops(row, limits)


class FlickerFilter(_MotionFilter):
    """Brightness that jumps there and back."""

    reason = "flicker"
    scores: ClassVar = {"flicker_score": "flicker"}
    threshold = Threshold("max_flicker", "flicker_score", "above")


class ZoomFilter(_MotionFilter):
    """The whole picture grows or shrinks."""

    reason = "zoom"
    scores: ClassVar = {"zoom_score": "zoom"}
    threshold = Threshold("max_zoom", "zoom_score", "above")


def _frozen(row: Row, limits: Limits) -> bool:
    return FreezeFilter.threshold.applies(row["freeze_score"], limits[FreezeFilter.threshold.setting])
