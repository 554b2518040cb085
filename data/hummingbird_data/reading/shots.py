"""Shots: where one camera take ends and the next begins (PySceneDetect's adaptive content detector, and fades)."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray
from scenedetect import AdaptiveDetector, FrameTimecode

from hummingbird_data.reading.fades import Fades

_THUMBNAIL = (48, 48)
_NEAR = Fraction(1, 6)  # seconds
_LEVEL = 96.0  # mean grey level of evenly lit frames
_DARK = 32.0  # darker frames are taken for this bright, or their noise would be all there is
_COLOUR = 2.0  # least content of a cut that colour alone shows, in that of others
_LEAST, _PART = 4.0, 0.4  # what differs: levels at least, and part of the contrast


@dataclass(frozen=True)
class ShotSettings:
    """``ratio``: how far a frame's change stands out from its neighbours' at a cut; ``content``: its least
    absolute change (0..255); ``changed``: least share of the picture that differs across a cut, brightness
    aside (a flash, or a jump of objects after a freeze, is no cut)."""

    ratio: float = 2.0
    content: float = 5.0
    changed: float = 0.35


def find_shots(
    frames: Iterable[NDArray[np.uint8]], fps: Fraction, settings: ShotSettings
) -> list[tuple[int, int]]:
    """Shots as (first frame, frame after the last), which together cover all of ``frames`` (RGB, (H, W, 3)).

    The frames are consumed one by one; memory does not grow with their number.
    """
    # The hue of nearly grey pixels is noise, and would hide cuts between scenes of low saturation; so what differs in
    # colour alone is seen by a detector of its own, which takes colour differences for brightness.
    detector = _detector(settings.ratio, settings.content, saturation=1.0)
    colours = _detector(settings.ratio, _COLOUR * settings.content, saturation=0.0)
    recent: dict[int, NDArray[np.float32]] = {}
    fades = Fades(float(fps))
    cuts: set[int] = set()
    count = 0
    for count, frame in enumerate(frames, start=1):
        index = count - 1
        recent[index] = _thumbnail(frame)
        fades.see(np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.uint8))
        recent.pop(index - 2 - detector.event_buffer_length, None)
        even = _evenly_lit(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        time = FrameTimecode(index, fps)
        found = detector.process_frame(time, even)
        for cut in [*found, *colours.process_frame(time, _colour_differences(even))]:
            at = cut.frame_num
            if at > 0 and _changed(recent[at - 1], recent[at]) >= settings.changed:
                cuts.add(at)
    faded, blanks = fades.cuts()
    # What the detector finds within a fade, or at its steep end, is the fade.
    near = round(_NEAR * fps)
    sharp = [at for at in cuts if not any(first - near <= at <= stop + near for first, stop in blanks)]
    bounds = [0, *sorted({*sharp, *faded}), count]
    return [(a, b) for a, b in pairwise(bounds) if b > a]


def _detector(ratio: float, content: float, saturation: float) -> AdaptiveDetector:
    weights = AdaptiveDetector.Components(delta_hue=0.0, delta_sat=saturation, delta_lum=1.0, delta_edges=0.0)
    return AdaptiveDetector(
        adaptive_threshold=ratio, min_content_val=content, min_scene_len=1, weights=weights
    )


def _colour_differences(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Cr and Cb of a frame (H, W, 3) in BGR side by side, as a grey picture (H, 2 W, 3)."""
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
