"""Fades: where the picture goes to black, or to one flat tone, and another take comes out of it.

The cut detector compares neighbours, and in a fade no two neighbours differ by much.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

_BLACK = 16.0  # grey levels: nearly all of a black frame is darker (a line of text may stand in it)
_ALL = 98.0  # percentile that "nearly all" means
_FLAT = 2.5  # grey levels: spread of a frame that shows nothing, bars aside
_EDGE = 2  # pixels
_Run = tuple[str, int, int]  # kind, first frame, frame after the last
_SHORT = 0.5  # seconds: a blank that lasts longer is a shot of its own where it is black


@dataclass
class Fades:
    """Frames are shown to it in order of time; then `cuts` says where shots end. ``fps``: frames a second."""

    fps: float
    _kinds: list[str] = field(default_factory=list)

    def see(self, luma: NDArray[np.uint8]) -> None:
        """The next frame (H, W)."""
        self._kinds.append(_kind(luma))

    def cuts(self) -> tuple[list[int], list[tuple[int, int]]]:
        """First frames of shots that begin at a fade, and the blank stretches (first, after the last) there.

        A short blank between two takes is cut in its middle; a long black one (a title, a pause) is a shot.
        """
        cuts: list[int] = []
        blanks: list[tuple[int, int]] = []
        for kind, first, stop in self._merged():
            inside = first > 0 and stop < len(self._kinds)
            if kind == "shown" or (kind == "flat" and stop - first > _SHORT * self.fps):
                continue
            if stop - first > _SHORT * self.fps:
                cuts += [edge for edge in (first, stop) if 0 < edge < len(self._kinds)]
                blanks.append((first, stop))
            elif inside:
                cuts.append((first + stop) // 2)
                blanks.append((first, stop))
        return cuts, blanks

    def _merged(self) -> list[_Run]:
        """Runs of one kind; a short flat one beside black is on its way there, and belongs to it."""
        runs = _runs([(kind, index, index + 1) for index, kind in enumerate(self._kinds)])
        for number, (kind, first, stop) in enumerate(runs):
            beside = {run[0] for run in runs[max(0, number - 1) : number + 2]}
            if kind == "flat" and "black" in beside and stop - first <= _SHORT * self.fps:
                runs[number] = ("black", first, stop)
        return _runs(runs)


def _runs(parts: list[_Run]) -> list[_Run]:
    runs: list[_Run] = []
    for kind, first, stop in parts:
        if runs and runs[-1][0] == kind:
            runs[-1] = (kind, runs[-1][1], stop)
        else:
            runs.append((kind, first, stop))
    return runs


def _kind(luma: NDArray[np.uint8]) -> str:
    if np.percentile(luma, _ALL) <= _BLACK:
        return "black"
    # Bars above, below or beside the picture never fade; where they end, their pixels mix with it.
    rows, columns = (np.flatnonzero(luma.max(axis) > _BLACK) for axis in (1, 0))
    inner = luma[rows[0] + _EDGE : rows[-1] + 1 - _EDGE, columns[0] + _EDGE : columns[-1] + 1 - _EDGE]
    return "flat" if inner.size and inner.std() < _FLAT else "shown"
