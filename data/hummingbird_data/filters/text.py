"""Share of the picture under overlaid text: captions, logos, watermarks.

A text detector (PP-OCRv6's small detection network, Apache-2.0, in the wheel of ``rapidocr``) runs through
OpenCV on a few frames. Overlaid text stays in place while the scene moves, and comes in lines: what
the detector sees in one frame only, and compact or frame-filling blobs, are not counted.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
from hummingbird.config.curate import CurateSettings
from hummingbird.config.settings import Settings as SettingsTree
from numpy.typing import NDArray

from hummingbird_data.filters.base import Filter, Threshold
from hummingbird_data.reading.clip_frames import clip_frames, evenly
from hummingbird_data.stage import Row, Stage

_MODEL = "models/PP-OCRv6_det_small.onnx"
_GRID = 32  # the network's stride
_SURE, _SURER = 0.6, 0.7
"""Least mean probability of a line's box: the detector's published threshold of boxes, and that of short ones."""
_SHORT = 6.0
"""Times as wide as high: two shapes side by side make boxes of up to 5, a line of ten letters of 8 and more."""
_STILL, _CHANGE = 0.95, 16.0
"""Least share of a short box's pixels that change by less grey levels than this: shapes may turn or grow in place."""


@dataclass
class TextStage(Stage):
    """``sides``: shorter sides, in pixels, that frames are looked at (none is enlarged beyond the first);
    ``probability``: of a pixel to be text, in every frame looked at."""

    name: ClassVar[str] = "text"
    inputs: ClassVar[tuple[str, ...]] = ("media_path", "storage")
    outputs: ClassVar[tuple[str, ...]] = ("text_share",)
    sides: tuple[int, ...] = (128, 320)
    frames: int = 3
    probability: float = 0.4

    def process(self, row: Row) -> Iterable[Row]:
        frames, _ = clip_frames(row)
        return [{"text_share": text_share(evenly(frames, self.frames), self.sides, self.probability)}]


def text_share(frames: NDArray[np.uint8], sides: tuple[int, ...], probability: float) -> float:
    """Share (0..1) of the picture in lines of text that all ``frames``, uint8 RGB (T, H, W, 3), show."""
    height, width = frames.shape[1:3]
    covered = np.zeros((height, width), bool)
    gray = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames])
    change = (gray.max(0) - gray.min(0)).astype(np.float32)
    for number, side in enumerate(sides):
        if number and side > min(height, width):
            break
        seen = np.min([text_map(frame, side) for frame in frames], axis=0)
        rows, columns = seen.shape
        moved = cv2.resize(change, (columns, rows), interpolation=cv2.INTER_AREA)
        for x, y, w, h in text_lines(seen, probability, moved):
            top, bottom = y * height // rows, -(-(y + h) * height // rows)
            covered[top:bottom, x * width // columns : -(-(x + w) * width // columns)] = True
    return float(covered.mean())


def text_lines(
    seen: NDArray[np.float32], probability: float, moved: NDArray[np.float32]
) -> list[tuple[int, int, int, int]]:
    """Boxes (x, y, width, height) of what is shaped like a line of text where ``seen`` (H, W) exceeds ``probability``.

    Rows of dots, and shapes side by side, look like short lines: these count only where the detector is surer and
    nothing changes, ``moved`` (H, W) being the range of each pixel's grey levels over the frames.
    """
    mask = seen > probability
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    lines = []
    for x, y, w, h, area in stats[1:count].tolist():
        line = w >= 1.8 * h and 3 <= h <= 0.3 * mask.shape[0] and area >= 0.5 * w * h
        if not line:
            continue
        box = np.s_[y : y + h, x : x + w]
        sure = seen[box].mean()
        short = w < _SHORT * h
        if sure >= _SURE and not (short and (sure < _SURER or (moved[box] < _CHANGE).mean() < _STILL)):
            lines.append((x, y, w, h))
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


class TextFilter(Filter):
    """Overlaid text."""

    Settings = CurateSettings
    reason = "text"
    scores: ClassVar = {"text_share": "text"}
    threshold = Threshold("max_text", "text_share", "above")

    def stages(self, settings: SettingsTree) -> list[Stage]:
        return [TextStage()]
