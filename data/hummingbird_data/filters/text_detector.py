"""Lines of text in a picture, of the scene or over it: boxes from a text detector's map.

PP-OCRv6's small detection network (Apache-2.0, in the wheel of ``rapidocr``) runs through OpenCV.
"""

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_MODEL = "models/PP-OCRv6_det_small.onnx"
_GRID = 32  # the network's stride
_SURE, _SURER = 0.6, 0.7
"""Least mean probability of a line's box: the detector's published threshold of boxes, and that of short ones."""
_LONG = 6.0
"""Times as long as high: two shapes side by side make boxes of up to 5, a line of ten letters of 8 and more."""


_LEVEL, _UPRIGHT = 1.8, 4.0  # times as long as high, at least: two things below each other are no line
_HELD = 0.6
_LARGER = 1.25  # times the size before: less shows nothing new


@dataclass(frozen=True)
class TextLine:
    """A box in pixels, ``x`` and ``y`` its upper left corner; ``sure`` (0..1): the mean probability in it."""

    x: int
    y: int
    width: int
    height: int
    sure: float

    @property
    def long(self) -> bool:
        """Whether it is so many times as long as high that hardly anything but text has its shape."""
        return max(self.width, self.height) >= _LONG * min(self.width, self.height)

    @property
    def box(self) -> tuple[slice, slice]:
        """Its rows and columns."""
        return np.s_[self.y : self.y + self.height, self.x : self.x + self.width]

    def holds(self, other: "TextLine") -> bool:
        """Whether ``other`` is smaller and lies in it for the most part."""
        width = min(self.x + self.width, other.x + other.width) - max(self.x, other.x)
        height = min(self.y + self.height, other.y + other.height) - max(self.y, other.y)
        area = other.width * other.height
        return area < self.width * self.height and min(width, height) > 0 and width * height > _HELD * area


def text_lines(frame: NDArray[np.uint8], sides: tuple[int, ...], probability: float) -> list[TextLine]:
    """Lines of text in ``frame`` (H, W, 3), uint8 RGB, looked for at each of ``sides``.

    ``sides`` are the pixels that the shorter side is made; beyond the first no frame is enlarged.
    """
    height, width = frame.shape[:2]
    lines = []
    for number, side in enumerate(sides):
        side = min(side, min(height, width)) if number else side
        if number and side < _LARGER * sides[number - 1]:
            break
        seen = text_map(frame, side)
        rows, columns = seen.shape
        for line in boxes(seen, probability):
            left, top = line.x * width // columns, line.y * height // rows
            right = -(-(line.x + line.width) * width // columns)
            bottom = -(-(line.y + line.height) * height // rows)
            lines.append(TextLine(left, top, right - left, bottom - top, line.sure))
    return lines


def boxes(seen: NDArray[np.float32], probability: float) -> list[TextLine]:
    """What is shaped like a line of text, level or upright, where the map ``seen`` (H, W) exceeds ``probability``.

    Short ones count only where the detector is surer: rows of dots and shapes side by side look like them.
    """
    mask = seen > probability
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    lines = []
    for x, y, w, h, area in stats[1:count].tolist():
        low, far = min(w, h), max(w, h)
        across = mask.shape[0] if w >= h else mask.shape[1]
        if far < (_LEVEL if w >= h else _UPRIGHT) * low or not 3 <= low <= 0.3 * across or area < 0.5 * w * h:
            continue
        line = TextLine(x, y, w, h, float(seen[y : y + h, x : x + w].mean()))
        if line.sure >= (_SURE if line.long else _SURER):
            lines.append(line)
    return lines


def text_map(frame: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
    """Probability of text at each pixel of ``frame`` (H, W, 3), its shorter side made ``side`` pixels."""
    height, width = frame.shape[:2]
    scale = side / min(height, width)
    size = [max(_GRID, round(length * scale / _GRID) * _GRID) for length in (width, height)]
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    picture = cv2.resize(frame, size, interpolation=method)
    network = _network()
    blob = cv2.dnn.blobFromImage(picture, 1 / 127.5, mean=(127.5, 127.5, 127.5), swapRB=True)
    network.setInput(blob)
    return np.asarray(network.forward()[0, 0], np.float32)


@cache
def _network() -> Any:
    package = find_spec("rapidocr")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("the text detector's weights come with the package rapidocr: install it")
    cv2.setNumThreads(1)
    return cv2.dnn.readNetFromONNX(str(Path(package.origin).parent / _MODEL))
