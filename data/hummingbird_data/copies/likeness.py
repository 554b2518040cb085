"""How alike two clips are as pictures, whatever was cropped, scaled, brightened or coded anew."""

import cv2
import numpy as np
from numpy.typing import NDArray

from hummingbird_data.reading.clip_frames import Frames

_SIDE = 64  # pixels of the thumbnails compared
_MARGIN = 8  # pixels that the two may be shifted against each other
_SCALES = np.arange(0.88, 1.13, 0.02)
_FLAT = 3.0  # standard deviation, in levels, below which a plane holds nothing to compare
_MOMENTS = 4
_BROAD = 5.0  # pixels: a blur that leaves the sky and takes what is small before it
_STRICTER = 0.05
"""By so much more small things must be alike than the whole. Where only they differ (40 drawn clips of one sky) they
correlate by at most 0.73; copies, cropped, coded anew, noisy or darker, by at least 0.87."""
_NOTHING_SMALL = 1.0  # standard deviation, in levels, below which what is small is the coding's noise

Thumbnails = NDArray[np.float32]


def thumbnails(frames: Frames) -> Thumbnails:
    """Four moments of a clip (T, H, W, 3) as luma and color planes, (4, 64, 64, 3)."""
    moments = np.linspace(0, len(frames) - 1, 2 * _MOMENTS + 1).round().astype(int)[1::2]
    small = [cv2.resize(frames[i], (_SIDE, _SIDE), interpolation=cv2.INTER_AREA) for i in moments]
    return np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2YCrCb) for frame in small]).astype(np.float32)


def likeness(a: Thumbnails, b: Thumbnails) -> float:
    """Correlation (-1..1) of two clips where they fit best, of luma or of color, whichever is lower.

    One shift and one scale (up to 12 %) must hold for all moments. Color weighs as much as luma, because
    before a common background little else tells two clips apart; clips without color are compared by luma. Nor may
    what is small differ much: two clips of one sky correlate whatever flies there.
    """
    whole, small_a, small_b = _fit(a, b), _small_things(a), _small_things(b)
    if max(small_a.std((0, 1, 2)).max(), small_b.std((0, 1, 2)).max()) < _NOTHING_SMALL:
        return whole
    return min(whole, _fit(small_a, small_b, together=True) - _STRICTER)


def _small_things(moments: Thumbnails) -> Thumbnails:
    broad = [cv2.GaussianBlur(moment, (0, 0), _BROAD) for moment in moments]
    return np.asarray(moments - np.stack(broad))


def _fit(a: Thumbnails, b: Thumbnails, together: bool = False) -> float:
    """See `likeness`; ``together``: of all planes at once."""
    planes = [(0, 1)]
    if min(a[..., 1:].std(), b[..., 1:].std()) > _FLAT or abs(a[..., 1:].std() - b[..., 1:].std()) > _FLAT:
        planes.append((1, 3))
    if together:
        planes = [(0, 3)]
    best = -1.0
    inner = _SIDE - 2 * _MARGIN
    for scale in _SCALES:
        side = round(_SIDE * float(scale))
        at = (side - inner) // 2
        maps = []
        for first, stop in planes:
            fits = []
            for one, other in zip(a, b, strict=True):
                scaled = cv2.resize(other, (side, side), interpolation=cv2.INTER_AREA)
                patch = np.ascontiguousarray(scaled[at : at + inner, at : at + inner, first:stop])
                picture = np.ascontiguousarray(one[..., first:stop])
                fits.append(cv2.matchTemplate(picture, patch, cv2.TM_CCOEFF_NORMED))
            maps.append(np.mean(fits, axis=0))
        best = max(best, float(np.min(maps, axis=0).max()))
    return best
