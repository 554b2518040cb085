"""Shots: where one camera take ends and the next begins, and what is in none: mixed, black and white pictures.

Sharp cuts are found by PySceneDetect's adaptive detector, dissolves and wipes by `hummingbird_data.reading.gradual`, or
both by
TransNetV2 (`hummingbird_data.reading.transnet`); blanks between takes by `hummingbird_data.reading.fades`.
"""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Literal, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from scenedetect import AdaptiveDetector, FrameTimecode

from hummingbird_data.reading.fades import Blank, Fades
from hummingbird_data.reading.gradual import Gradual, Span

_THUMBNAIL = (48, 48)
_NEAR = 1 / 6  # seconds
_FLASH, _SAME = 0.25, 0.8  # seconds; correlation of one scene before and after a flash
_LEADS = 0.6  # seconds
_TURN = 0.5  # seconds: a flat stretch that is no longer is a turn between two takes
_LEVEL = 96.0  # mean gray level of evenly lit frames
_DARK = 32.0  # darker frames are taken for this bright, or their noise would be all there is
_COLOR = 2.0  # least content of a cut that color alone shows, in that of others
_LEAST, _PART = 4.0, 0.4  # what differs: levels at least, and part of the contrast
_BASE = Fraction(25)  # PySceneDetect counts frames here; seconds are judged by the frames' own times


@dataclass(frozen=True)
class ShotSettings:
    """``engine``: what finds transitions. ``ratio``: how far a frame's change stands out from its neighbors' at a
    cut; ``content``: its least absolute change (0..255); ``changed``: least share of the picture that differs across
    a cut, brightness aside (a flash, or a jump of objects after a freeze, is no cut). ``weights``: TransNetV2's file.
    """

    engine: Literal["scenedetect", "transnet"] = "scenedetect"
    ratio: float = 2.0
    content: float = 5.0
    changed: float = 0.35
    weights: str | None = None


class ShotEngine(Protocol):
    """What finds transitions. Frames are shown to it in order of time."""

    def see(self, time: float, rgb: NDArray[np.uint8]) -> None:
        """The next frame (H, W, 3), and its time in seconds."""

    def found(self) -> tuple[list[int], list[Span]]:
        """First frames of shots after cuts; gradual transitions (first mixed frame, frame after the last)."""


def find_shots(frames: Iterable[tuple[float, NDArray[np.uint8]]], settings: ShotSettings) -> list[Span]:
    """Shots as (first frame, frame after the last), in order; what lies between two of them belongs to none.

    ``frames`` are times in seconds and pictures (RGB, (H, W, 3)) of one size. They are consumed one by one; what is
    held of each is less than a kilobyte.
    """
    engine = _engine(settings)
    fades, gradual = Fades(), Gradual()
    times: list[float] = []
    for time, rgb in frames:
        times.append(time)
        fades.see(time, np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8))
        gradual.see(time, rgb)
        engine.see(time, rgb)
    bounds, blanks, faded = _bounds(fades.blanks(), gradual, times)
    cuts, mixed = engine.found()
    # What is found within a fade, or at its steep end, is the fade.
    cuts = [cut for cut in cuts if not any(a - _NEAR <= times[cut] <= b + _NEAR for a, b in faded)]
    bounds = sorted({0, len(times), *bounds, *cuts, *(edge for blank in blanks for edge in blank)})
    if settings.engine == "scenedetect":
        mixed = [span for shot in _parted(bounds, blanks) for span in gradual.transitions(*shot)]
    # A gradual change that leads to a blank, or out of one, is a fade.
    mixed = [
        (a, b)
        for a, b in mixed
        if not any(times[a] < end + _LEADS and start - _LEADS < times[b - 1] for start, end in faded)
    ]
    return _parted(bounds, sorted([*blanks, *mixed]))


def _bounds(
    found: list[Blank], gradual: Gradual, times: list[float]
) -> tuple[list[int], list[Span], list[tuple[float, float]]]:
    """Frames at which shots end by fades, stretches that belong to no shot, and from when to when these
    blanks and flashes are seen, in seconds."""
    bounds: list[int] = []
    blanks: list[Span] = []
    faded = []
    for blank in found:
        first, stop = blank.first, blank.stop
        inside = first > 0 and stop < len(times)
        same = inside and gradual.alike(max(0, first - 2), min(len(times) - 1, stop + 1)) >= _SAME
        if blank.tone == "flat":
            if not inside or same:
                continue
            bounds += [(first + stop) // 2] if blank.seconds <= _TURN else [first, stop]
        elif blank.titled or not inside:  # a title, or black before or behind all takes: a shot of its own
            bounds += [first, stop]
        elif not (blank.tone == "white" and same and blank.seconds <= _FLASH):
            blanks.append((first, stop))
        faded.append((times[first], times[min(stop, len(times) - 1)]))
    return bounds, blanks, faded


def _parted(bounds: list[int], taken: list[Span]) -> list[Span]:
    """The stretches between neighboring ``bounds`` and ``taken`` ones, without these."""
    edges = sorted({*bounds, *(edge for span in taken for edge in span)})
    shots = []
    for a, b in pairwise(edges):
        at = bisect_left(taken, (a + 1, 0)) - 1
        if at < 0 or taken[at][1] <= a:
            shots.append((a, b))
    return shots


def _engine(settings: ShotSettings) -> ShotEngine:
    if settings.engine == "scenedetect":
        return SharpCuts(settings)
    from hummingbird_data.reading.transnet import TransNetEngine  # PyTorch takes seconds to import

    return TransNetEngine(settings.weights)


class SharpCuts:
    """Cuts between two neighbors, as PySceneDetect finds them. Frames are shown to it in order of time."""

    def __init__(self, settings: ShotSettings) -> None:
        # The hue of nearly gray pixels is noise, and would hide cuts between scenes of low saturation; so what differs
        # in color alone is seen by a detector of its own, which takes color differences for brightness.
        self._light = _detector(settings.ratio, settings.content, saturation=1.0)
        self._color = _detector(settings.ratio, _COLOR * settings.content, saturation=0.0)
        self._changed = settings.changed
        self._recent: dict[int, NDArray[np.float32]] = {}
        self._cuts: set[int] = set()
        self._count = 0

    def see(self, time: float, rgb: NDArray[np.uint8]) -> None:
        """The next frame (H, W, 3), and its time in seconds."""
        index, self._count = self._count, self._count + 1
        self._recent[index] = _thumbnail(rgb)
        self._recent.pop(index - 2 - self._light.event_buffer_length, None)
        even = _evenly_lit(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
        number = FrameTimecode(index, _BASE)
        found = self._light.process_frame(number, even)
        for cut in [*found, *self._color.process_frame(number, _color_differences(even))]:
            at = cut.frame_num
            if at > 0 and _changed(self._recent[at - 1], self._recent[at]) >= self._changed:
                self._cuts.add(at)

    def found(self) -> tuple[list[int], list[Span]]:
        """First frames of shots; no gradual transitions."""
        return sorted(self._cuts), []


def _detector(ratio: float, content: float, saturation: float) -> AdaptiveDetector:
    weights = AdaptiveDetector.Components(delta_hue=0.0, delta_sat=saturation, delta_lum=1.0, delta_edges=0.0)
    return AdaptiveDetector(
        adaptive_threshold=ratio, min_content_val=content, min_scene_len=1, weights=weights
    )


def _color_differences(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Cr and Cb of a frame (H, W, 3) in BGR side by side, as a gray picture (H, 2 W, 3)."""
    ycc = cv2.cvtColor(frame, cv2.COLOR_BGR2YCrCb)
    return np.asarray(cv2.cvtColor(np.hstack([ycc[..., 1], ycc[..., 2]]), cv2.COLOR_GRAY2BGR), np.uint8)


def _evenly_lit(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The frame at one mean level: beside the jumps of a flickering light a cut would not stand out."""
    level = max(float(np.mean(cv2.mean(frame)[:3])), _DARK)
    return np.asarray(cv2.convertScaleAbs(frame, alpha=_LEVEL / level), np.uint8)


def _thumbnail(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    small = cv2.resize(frame, _THUMBNAIL, interpolation=cv2.INTER_AREA).astype(np.float32)
    return np.asarray(small - small.mean(), np.float32)


def _changed(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Share of the pixels that differ by a good part of the picture's contrast, brightness and gain aside."""
    contrasts = [float(picture.mean(-1).std()) for picture in (a, b)]
    gain = float(np.clip(contrasts[0] / max(contrasts[1], 1e-3), 0.5, 2.0))
    return float((np.abs(a - gain * b).max(-1) > max(_LEAST, _PART * max(contrasts))).mean())
