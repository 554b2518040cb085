"""Fades and blanks: where the picture goes to black, to white, or to one flat tone, and a take comes out of it.

The cut detector compares neighbors, and in a fade no two neighbors differ by much. PySceneDetect's ThresholdDetector
looks at the mean alone: dark scenes are fades to it, and pictures under a mark are none (docs/curation.md).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

_BLACK = 16  # gray levels: nearly all of a black frame is darker, of a white one as far from white
_ALL = 0.98  # share that "nearly all" means
_BEHIND = 0.7  # share of the picture that is black around a mark
_BEYOND, _AROUND = (
    0.3,
    1.2,
)  # least share of it that is seen at some time within so many seconds before and after
_STILL, _PART = 12, 0.005  # gray levels; share of the pixels that may differ by more while a mark stays
_BRIGHT, _TOP = 40, 0.998  # gray levels, share of the pixels below: something stands in the black
_WAIT = 4  # dark runs that wait for the picture behind them, at most
_STAYS, _LESS = 0.8, 24  # share of a mark's pixels that are there before and after; levels they may be darker
_FLAT = 2.5  # gray levels: spread of a frame that shows nothing, bars aside
_EDGE = 2  # pixels
_SHORT = 0.5  # seconds: a blank that lasts longer is a shot of its own where a title comes or goes
_CORE = 0.2  # seconds at the ends of a blank in which a fade may still show its highlights

Luma = NDArray[np.uint8]
Tone = Literal["black", "white", "flat"]


@dataclass(frozen=True)
class Blank:
    """Frames ``first`` up to ``stop`` (not included) that show nothing but one tone.

    ``titled``: black or white for long, and something comes or goes in it. ``seconds``: how long it is seen.
    """

    tone: Tone
    first: int
    stop: int
    seconds: float
    titled: bool = False


@dataclass(frozen=True)
class _Picture:
    luma: Luma
    time: float
    dark: float  # share that is black


@dataclass(eq=False)
class _Marked:
    """A run of frames that are black, or white, around something that does not move; the best seen pictures near it."""

    first: int
    stop: int
    end: float
    mark: Luma
    before: _Picture | None
    after: _Picture | None = None

    def is_blank(self) -> bool:
        """Whether the same mark stands in the pictures before and after, in which the rest is seen."""
        mark, rest = self.mark > _BRIGHT, self.mark <= _BLACK
        beside = [picture.luma for picture in (self.before, self.after) if picture is not None]
        if self.stop - self.first < 2 or not beside or not mark.any():
            return False
        levels = self.mark[mark].astype(int) - _LESS
        return all(
            float((luma[mark] >= levels).mean()) >= _STAYS
            and float((luma[rest] > 2 * _BLACK).mean()) >= _BEYOND
            for luma in beside
        )


@dataclass
class _Darkness:
    """Black stretches of luma pictures; of inverted ones, white stretches."""

    kinds: list[bool] = field(default_factory=list)
    bright: list[float] = field(default_factory=list)
    marked: list[tuple[int, int]] = field(default_factory=list)
    _run: _Marked | None = None
    _open: list[_Marked] = field(default_factory=list)
    _shown: _Picture | None = None

    def see(self, time: float, luma: Luma, below: NDArray[np.float64]) -> None:
        """``below``: the share of the pixels up to each level, 0 to 255."""
        index, picture = len(self.kinds), _Picture(luma, time, float(below[_BLACK]))
        self.kinds.append(bool(below[_BLACK] >= _ALL))
        self.bright.append(float(np.searchsorted(below, _TOP)))
        self._close([run for run in self._open if run is not self._run and time > run.end + _AROUND])
        for run in self._open:
            if run is not self._run and (run.after is None or picture.dark < run.after.dark):
                run.after = picture
        if picture.dark >= _BEHIND:
            self._mark(index, picture)
        else:
            self._run = None
        held = self._shown
        if held is None or picture.dark <= held.dark or time > held.time + _AROUND:
            self._shown = picture

    def _mark(self, index: int, picture: _Picture) -> None:
        run = self._run
        if run is not None and _differ(run.mark, picture.luma) <= _PART:
            run.stop, run.end = index + 1, picture.time
            return
        if len(self._open) >= _WAIT:  # something moves in the dark
            self._open.remove(min(self._open, key=lambda run: run.stop - run.first))
        self._run = _Marked(index, index + 1, picture.time, picture.luma, self._shown)
        self._open.append(self._run)

    def frames(self) -> NDArray[np.bool_]:
        """Which frames are blank."""
        self._close(list(self._open))
        blank = np.array(self.kinds, bool)
        for first, stop in self.marked:
            blank[first:stop] = True
        return blank

    def _close(self, runs: list[_Marked]) -> None:
        self.marked += [(run.first, run.stop) for run in runs if run.is_blank()]
        self._open = [run for run in self._open if not any(run is closed for closed in runs)]


@dataclass
class Fades:
    """Frames are shown to it in order of time; then `blanks` says where nothing is seen."""

    _times: list[float] = field(default_factory=list)
    _flat: list[str] = field(default_factory=list)
    _black: _Darkness = field(default_factory=_Darkness)
    _white: _Darkness = field(default_factory=_Darkness)

    def see(self, time: float, luma: Luma) -> None:
        """The next frame (H, W), of a size that does not change, and its time in seconds."""
        self._times.append(time)
        counts = cv2.calcHist([luma], [0], None, [256], [0, 256]).ravel().astype(float)
        self._black.see(time, luma, np.cumsum(counts) / luma.size)
        self._white.see(time, 255 - luma, np.cumsum(counts[::-1]) / luma.size)
        self._flat.append(_flat(luma))

    def blanks(self) -> list[Blank]:
        """All blank stretches in order of time; a short flat one beside black or white is on its way there."""
        black, white = self._black.frames(), self._white.frames()
        tones = np.where(black, "black", np.where(white, "white", self._flat))
        runs = [self._blank(*run) for run in _runs(tones)]
        for number, run in enumerate(runs):
            beside = [r for r in runs[max(0, number - 1) : number + 2] if r.tone in ("black", "white")]
            touching = [r.tone for r in beside if r.stop == run.first or r.first == run.stop]
            if run.tone == "flat" and touching and run.seconds <= _SHORT:
                tones[run.first : run.stop] = touching[0]
        return [self._titled(self._blank(*run)) for run in _runs(tones)]

    def _blank(self, tone: Tone, first: int, stop: int) -> Blank:
        """With the last frame seen as long as the one before it."""
        end = self._times[stop] if stop < len(self._times) else 2 * self._times[-1] - self._times[-2:][0]
        return Blank(tone, first, stop, end - self._times[first])

    def _titled(self, blank: Blank) -> Blank:
        if blank.tone == "flat" or blank.seconds <= _SHORT:
            return blank
        seen = (self._black if blank.tone == "black" else self._white).bright[blank.first : blank.stop]
        times = np.array(self._times[blank.first : blank.stop])
        core = np.array(seen)[(times >= times[0] + _CORE) & (times <= times[-1] - _CORE)]
        most = float(core.max()) if core.size else 0.0
        return replace(blank, titled=most > _BRIGHT and min(seen) < most / 2)


def _differ(a: Luma, b: Luma) -> float:
    return float((np.abs(a.astype(np.int16) - b) > _STILL).mean())


def _runs(tones: Iterable[str]) -> list[tuple[Tone, int, int]]:
    runs: list[tuple[Tone, int, int]] = []
    for index, tone in enumerate(map(str, tones)):
        if not tone:
            continue
        if runs and runs[-1][0] == tone and runs[-1][2] == index:
            runs[-1] = (runs[-1][0], runs[-1][1], index + 1)
        else:
            runs.append((tone, index, index + 1))  # type: ignore[arg-type]
    return runs


def _flat(luma: Luma) -> str:
    # Bars above, below or beside the picture never fade; where they end, their pixels mix with it.
    rows, columns = (np.flatnonzero(luma.max(axis) > _BLACK) for axis in (1, 0))
    if not rows.size:
        return ""
    inner = luma[rows[0] + _EDGE : rows[-1] + 1 - _EDGE, columns[0] + _EDGE : columns[-1] + 1 - _EDGE]
    if not inner.size or inner.std() >= _FLAT:
        return ""
    return "white" if inner.mean() >= 255 - _BLACK else "flat"
