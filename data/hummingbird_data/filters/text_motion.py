"""Whether a line of text lies over the picture or in its scene, by how it moves between two pictures.

Overlaid text stays where it is, or moves evenly by itself, whatever is behind it; text of the scene moves with what is
around it: the wall, the vehicle, the cloth. What neither moves nor has anything moving around it is taken for an
overlay: of a sign before a fixed camera nothing tells it apart.
"""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from hummingbird_data.filters.text_detector import TextLine

Fate = Literal["stays", "alone", "scene", "lost"]
"""What a line does: stays where it is, moves by itself, moves with what is around it, or is not there any more."""

_SIDE = 320  # pixels of the shorter side at which motion is measured
_BLUR = 0.7  # of the gray pictures: edges a fraction of a pixel apart still overlap
_EDGE = 30.0  # least Sobel response of an edge
_STAYS, _FOUND = 0.4, 0.45  # least share of a line's edges that are the same where it was, and where it went
_ALL_STAYS = 0.75  # the same of a short line, whose edges may be those of things side by side
_STILL = 0.75  # pixels that what stays may seem to move
_REACH = (64, 40)  # pixels, across and down, that a line is looked for
_CHUNK = 5.0  # times its height: so much of a line is looked for
_RING = 0.5  # of the letters' height: how far around them the ground is looked at
_LETTERS = 0.65  # of a box's shorter side, on each side: the detector's boxes are smaller than the letters
_FEW = 12  # edges: fewer say nothing

Shift = tuple[int, int]


@dataclass(frozen=True)
class Pair:
    """Two pictures of a clip, gray, their edges (H, W, 2), and the motion of the scene between them, (2, 3)."""

    first: NDArray[np.uint8]
    second: NDArray[np.uint8]
    edges: tuple[NDArray[np.float32], NDArray[np.float32]]
    scene: NDArray[np.float64]
    scale: float

    @classmethod
    def of(cls, first: NDArray[np.uint8], second: NDArray[np.uint8], lines: list[TextLine]) -> "Pair":
        """Of two pictures (H, W, 3), the first of which has ``lines``."""
        scale = min(1.0, _SIDE / min(first.shape[:2]))
        one, two = (_gray(picture, scale) for picture in (first, second))
        scene = _motion(one, two, [_letters(_scaled(line, scale)) for line in lines])
        return cls(one, two, (_edges(one), _edges(two)), scene, scale)

    def fate(self, line: TextLine, lines: list[TextLine]) -> Fate:
        """What ``line`` of the first picture, one of its ``lines``, does by the second."""
        line = _scaled(line, self.scale)
        letters = _letters(line)
        inside = self._mask(line)
        stays = self.same(inside, (0, 0))
        shift, there = self._followed(letters, inside)
        if stays >= (_STAYS if line.long else _ALL_STAYS) and stays >= there - 0.05:
            return "stays"
        if there < _FOUND:
            return "lost"
        ring = self._mask(_grown(letters, _RING * min(letters.width, letters.height)))
        ring &= ~self._mask(letters)
        for other in (_scaled(other, self.scale) for other in lines):
            # The same text, seen at another size, has a box of its own: that takes nothing away.
            if not (other.holds(line) or line.holds(other)):
                ring &= ~self._mask(_letters(other))
        along = np.array(shift, np.float32) / np.linalg.norm(shift)
        across = np.abs(self.edges[0] @ along) > _EDGE
        ring &= across
        center = np.array([line.x + line.width / 2, line.y + line.height / 2, 1.0])
        scene = self.scene @ center - center[:2]
        near_scene = float(np.linalg.norm(scene - shift)) < max(1.0, 0.15 * float(np.linalg.norm(shift)))
        if ring.sum() < _FEW:
            return "scene" if near_scene else "alone"
        behind = max(self.same(ring, (0, 0)), self._near(ring, (round(scene[0]), round(scene[1]))))
        return "scene" if near_scene or self._near(ring, shift) > behind else "alone"

    def _followed(self, letters: TextLine, inside: NDArray[np.bool_]) -> tuple[Shift, float]:
        """Where a line went, and the share of its edges that are the same there; it did move."""
        middle = _middle(letters, self.first.shape)
        top, left = max(0, middle.y - _REACH[1]), max(0, middle.x - _REACH[0])
        bottom, right = middle.y + middle.height + _REACH[1], middle.x + middle.width + _REACH[0]
        patch = self.first[middle.box]
        if min(patch.shape) < 3:
            return (1, 0), 0.0
        fits = cv2.matchTemplate(self.second[top:bottom, left:right], patch, cv2.TM_CCOEFF_NORMED)
        y0, x0 = middle.y - top, middle.x - left
        fits[y0, x0] = -1
        y, x = np.unravel_index(int(fits.argmax()), fits.shape)
        shift = (int(x) - x0, int(y) - y0)
        return shift, self._near(inside & self._mask(middle), shift)

    def _near(self, where: NDArray[np.bool_], shift: Shift) -> float:
        """The best `same` of a shift and those a pixel beside it, but not of none."""
        shifts = [(shift[0] + dx, shift[1] + dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)]
        return max((self.same(where, s) for s in shifts if s != (0, 0)), default=0.0)

    def same(self, where: NDArray[np.bool_], shift: Shift) -> float:
        """Share of the first picture's edges, where ``where`` (H, W) says, that the second has at ``shift``."""
        ys, xs = np.nonzero(where)
        one = self.edges[0][ys, xs]
        strength = np.linalg.norm(one, axis=1)
        if not len(strength):
            return 0.0
        strong = strength >= max(_EDGE, float(np.percentile(strength, 60)))
        if not strong.any():
            return 0.0
        ys, xs = ys[strong] + shift[1], xs[strong] + shift[0]
        seen = (ys >= 0) & (ys < self.first.shape[0]) & (xs >= 0) & (xs < self.first.shape[1])
        if seen.mean() < 0.3:
            return 0.0
        two = self.edges[1][ys[seen], xs[seen]]
        same = np.linalg.norm(one[strong][seen] - two, axis=1) < 0.5 * strength[strong][seen]
        return float(same.mean())

    def _mask(self, line: TextLine) -> NDArray[np.bool_]:
        mask = np.zeros(self.first.shape, bool)
        mask[line.box] = True
        return mask


def _motion(one: NDArray[np.uint8], two: NDArray[np.uint8], lines: list[TextLine]) -> NDArray[np.float64]:
    """How most of the picture, but for ``lines``, moves from one to the other: (2, 3), affine."""
    still = np.eye(2, 3)
    mask = np.ones_like(one)
    for line in lines:
        mask[line.box] = 0
    points = cv2.goodFeaturesToTrack(one, 300, 0.01, 6, mask=mask)
    if points is None or len(points) < _FEW:
        return still
    there, found, _ = cv2.calcOpticalFlowPyrLK(one, two, points, None)
    good = found.ravel() > 0
    if good.sum() < _FEW:
        return still
    matrix, _ = cv2.estimateAffinePartial2D(points[good], there[good], ransacReprojThreshold=2.0)
    return still if matrix is None else np.asarray(matrix)


def _edges(gray: NDArray[np.uint8]) -> NDArray[np.float32]:
    soft = cv2.GaussianBlur(gray.astype(np.float32), (0, 0), _BLUR)
    return np.stack([cv2.Sobel(soft, cv2.CV_32F, *axis, ksize=3) for axis in ((1, 0), (0, 1))], -1)


def _grown(line: TextLine, by: float) -> TextLine:
    left, top = max(0, round(line.x - by)), max(0, round(line.y - by))
    right, bottom = round(line.x + line.width + by), round(line.y + line.height + by)
    return TextLine(left, top, right - left, bottom - top, line.sure)


def _letters(line: TextLine) -> TextLine:
    """The box of the letters themselves."""
    return _grown(line, _LETTERS * min(line.width, line.height))


def _middle(line: TextLine, shape: tuple[int, ...]) -> TextLine:
    """The middle of a line, inside a picture of ``shape``."""
    most = round(_CHUNK * min(line.width, line.height))
    width, height = min(line.width, most), min(line.height, most)
    x, y = line.x + (line.width - width) // 2, line.y + (line.height - height) // 2
    return TextLine(x, y, min(width, shape[1] - x), min(height, shape[0] - y), line.sure)


def _gray(picture: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    return (
        np.asarray(cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
        if scale < 1
        else gray
    )


def _scaled(line: TextLine, scale: float) -> TextLine:
    x, y = int(line.x * scale), int(line.y * scale)
    right, bottom = -(-(line.x + line.width) * scale // 1), -(-(line.y + line.height) * scale // 1)
    return TextLine(x, y, int(right) - x, int(bottom) - y, line.sure)
