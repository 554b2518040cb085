"""Borders: bars above and below a picture, or beside it, that are no part of it: black, or the picture itself, large
and blurred.

A black border is black in every frame looked at, has its like on the other side, and ends in a straight edge along
which there is picture nearly everywhere: dark scenes and objects before black are not cropped. A blurred one is smooth
in every frame, as is its like on the other side, and the picture breaks off along the whole of both edges: a background
out of focus has no such edge.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_BLACK = 20  # gray levels that a border stays below, coding noise included
_RINGING = 5.0  # percent of a line that may be brighter: coding noise, a logo in the bar
_EDGE = 3  # lines behind the border, among which the picture must begin
_BEGINS = 0.6  # share of such a line that is brighter than a border
_LEAST, _MOST = 0.02, 0.375  # of the picture's side: width of one border
_BLURRED_MOST = 0.45  # the same of a blurred one
_STEP, _BREAKS = (
    5,
    0.45,
)  # gray levels between two lines where a picture breaks off, and the least share that does
_STANDS_OUT = 3.0  # times the share of the lines outside of the edge
_SMOOTH = 0.4  # of the detail of the picture: what a blurred border has at most
_UNEVEN = 0.02  # of the side: how much the two may differ, or two lines


@dataclass(frozen=True)
class Box:
    """The part of a picture that is shown: its sides as shares (0..1) of height and width."""

    top: float = 0.0
    bottom: float = 1.0
    left: float = 0.0
    right: float = 1.0

    def crop(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The part of ``rgb`` (H, W, 3) in the box, inwards to even sizes."""
        if self == Box():
            return rgb
        top, bottom = _inwards(self.top, self.bottom, rgb.shape[0])
        left, right = _inwards(self.left, self.right, rgb.shape[1])
        return np.ascontiguousarray(rgb[top:bottom, left:right])


@dataclass(frozen=True)
class Lines:
    """For each row (or column) of a picture: how bright it is but for a few pixels, the share of it (0..255) that is
    brighter than a border, the share (0..1) that differs from the line before, and its detail: the mean change from
    pixel to pixel, in gray levels."""

    level: NDArray[np.uint8]
    filled: NDArray[np.uint8]
    breaks: NDArray[np.float32]
    detail: NDArray[np.float32]

    def border(self, seen: float = 1.0) -> tuple[int, int]:
        """Lines of the borders at the two ends, 0 and 0 for none. ``seen``: share of a line within others."""
        dark, side = self.level <= _BLACK, len(self.level)
        if dark.all() or not (dark[0] and dark[-1]):
            return 0, 0
        first, last = int(np.argmin(dark)), int(np.argmin(dark[::-1]))
        sizes = min(first, last) >= _LEAST * side and max(first, last) <= _MOST * side
        if not sizes or abs(first - last) > max(2, _UNEVEN * side):
            return 0, 0
        filled = self.filled / 255 / seen
        begins = filled[first : first + _EDGE].max(), filled[::-1][last : last + _EDGE].max()
        return (first, last) if min(begins) >= _BEGINS else (0, 0)

    def blurred_border(self) -> tuple[int, int]:
        """Lines of the blurred borders at the two ends, 0 and 0 for none."""
        side = len(self.level)
        least, most = max(4, round(_LEAST * side)), round(_BLURRED_MOST * side)
        uneven = max(2, round(_UNEVEN * side))
        ahead, behind = self.breaks, self.breaks[::-1]
        best: tuple[float, int, int] = (0.0, 0, 0)
        for first in range(least, most):
            # The line after the border differs from its last one; from the far end, the other way round.
            for last in range(max(least, first - uneven), min(most, first + uneven + 1)):
                edge = float(min(ahead[first], behind[last - 1]))
                if edge > max(best[0], _BREAKS) and self._apart(first, last, edge):
                    best = (edge, first, last)
        return best[1], best[2]

    def _apart(self, first: int, last: int, edge: float) -> bool:
        """Whether what lies outside is smooth, and does not break off as its edges do."""
        outside = np.r_[self.detail[: first - 1], self.detail[::-1][: last - 1]]
        inside = float(np.median(self.detail[first + 1 : len(self.detail) - last - 1]))
        breaks = np.r_[self.breaks[1 : first - 1], self.breaks[::-1][: last - 2]]
        smooth = float(np.median(outside)) < _SMOOTH * inside and float(outside.max()) < inside
        return smooth and float(breaks.max(initial=0.0)) * _STANDS_OUT < edge

    def black_outside(self, first: float, stop: float) -> bool:
        """Whether the lines before and after these two, as shares, are all black."""
        a, b = round(first * len(self.level)), round(stop * len(self.level))
        return bool((self.level[:a] <= _BLACK).all() and (self.level[b:] <= _BLACK).all())


@dataclass(frozen=True)
class Profile:
    """What a frame, or several, shows of borders: some kilobytes, whatever the size of the picture."""

    rows: Lines
    columns: Lines

    @classmethod
    def of(cls, luma: NDArray[np.uint8]) -> "Profile":
        """That of one frame (H, W)."""
        return cls(_lines(luma), _lines(np.ascontiguousarray(luma.T)))

    @classmethod
    def joined(cls, profiles: Sequence["Profile"]) -> "Profile":
        """That of all of ``profiles``, at least one, of one size: the brightest of each line counts."""

        def brightest(lines: list[Lines]) -> Lines:
            return Lines(
                np.max([x.level for x in lines], axis=0),
                np.max([x.filled for x in lines], axis=0),
                np.mean([x.breaks for x in lines], axis=0),
                np.mean([x.detail for x in lines], axis=0),
            )

        return cls(brightest([p.rows for p in profiles]), brightest([p.columns for p in profiles]))

    def box(self) -> Box:
        """What is left without borders that can be told from a dark picture."""
        height, width = len(self.rows.level), len(self.columns.level)
        top, bottom = self.rows.border()
        left, right = self.columns.border(1 - (top + bottom) / height)
        if not (top or bottom) and (left or right):  # within bars at the sides, rows are shorter
            top, bottom = self.rows.border(1 - (left + right) / width)
        if not (top or bottom or left or right):
            left, right = self.columns.blurred_border()
        if not (top or bottom or left or right):
            top, bottom = self.rows.blurred_border()
        return Box(top / height, 1 - bottom / height, left / width, 1 - right / width)

    def within(self, box: Box) -> bool:
        """Whether all outside of ``box`` is black."""
        return self.rows.black_outside(box.top, box.bottom) and self.columns.black_outside(
            box.left, box.right
        )


def shot_boxes(shots: Sequence[tuple[int, int]], seen: Sequence[tuple[int, Profile]]) -> list[Box]:
    """The box of each shot (first frame, frame after the last), from profiles of some frames, by number.

    A shot too dark to tell has the box of another of its file, if it is black outside of it too.
    """
    own = [[profile for index, profile in seen if first <= index < stop] for first, stop in shots]
    joined = [Profile.joined(profiles) if profiles else None for profiles in own]
    boxes = [profile.box() if profile else Box() for profile in joined]
    known = [box for box, _ in Counter(box for box in boxes if box != Box()).most_common()]
    return [
        next((b for b in known if profile is None or profile.within(b)), box) if box == Box() else box
        for box, profile in zip(boxes, joined, strict=True)
    ]


def _lines(luma: NDArray[np.uint8]) -> Lines:
    level = np.percentile(luma, 100 - _RINGING, axis=1, method="lower").astype(np.uint8)
    values = luma.astype(np.int16)
    breaks = np.zeros(len(luma), np.float32)
    breaks[1:] = (np.abs(np.diff(values, axis=0)) > _STEP).mean(1)
    detail = np.abs(np.diff(values, axis=1)).mean(1).astype(np.float32)
    return Lines(level, np.round(255 * (luma > _BLACK).mean(1)).astype(np.uint8), breaks, detail)


def _inwards(first: float, stop: float, length: int) -> tuple[int, int]:
    """Whole pixels within the two, an even number of them, off lines that scaling mixed with the border."""
    a = int(np.ceil(first * length + 0.5)) if first > 0 else 0
    b = int(np.floor(stop * length - 0.5)) if stop < 1 else length
    return a, b - (b - a) % 2
