"""Gradual transitions: dissolves and wipes, in which no two neighbors differ by much.

Two unrelated pictures A and B stand at the ends of a stretch, and all between them is either the same mixture of both
everywhere, with a share that rises (a dissolve: x = (1 - a) A + a B), or at every place first A and then B, with an
edge that sweeps over the picture (a wipe). In a pan or behind an object that passes, what is between is neither.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Span = tuple[int, int]

_SIZE = (16, 9)  # cells of a picture: coarse, for what moves within A and B is to count little
_CELLS = _SIZE[0] * _SIZE[1]
_RATE = 25.0  # pictures a second that are looked at
_HELD = 1.5  # seconds that one picture counts at most
_REACH = (3, 4, 6, 9, 13, 18, 24, 30)  # pictures from the middle to either end: transitions of 0.25 to 2.3 s
_CHUNK = 2000  # pictures looked at together
_BLACK = 16.0  # gray levels
_CONTRAST = 20.0  # least variance of A and of B (gray levels squared): darker ones are a matter of fades
_ALIKE = 0.65  # most correlation of A and B
# Levels, part of the contrast; least share of A's places that B differs at.
_LEAST, _PART, _CHANGED = 4.0, 0.25, 0.5
_LIT = (
    0.35  # least share of places that are not black in both: lights that move in the dark are no transition
)
_MIXED = 0.12  # most that is not explained, as a share of what differs between A and B
_DIP = 0.8  # most detail in the middle of a dissolve, as a part of that at its ends
_REGIONS = (
    4,
    4,
)  # of a picture, in which detail is measured: a line of text comes or goes in one or two rows
_BUSY = 0.1  # least detail of a region that counts, as a part of the mean
_STEP = 0.4  # most of the way from A to B between two pictures; a cut takes all of it
_BETWEEN = 0.35  # least share of a stretch that is neither A nor B
_GAP = 2  # pictures before and after, between which a passing edge changes a place
_SWEEPS = (9, 13, 18, 24, 30)  # pictures from the middle to either end, for wipes
_NEAR = 0.1  # of the stretch: how near a place's change is to the edge's time
_INLIERS, _CHANGE = (
    0.84,
    0.65,
)  # least share of places that change so near to it; of all change that is so near
_SHORTEST, _SWEEP = 5, 0.25  # pictures, part of the stretch: least duration of a wipe
_EVEN = 0.08  # least part of A's contrast in B's, or the other way round: less is a fade
_BACK, _SAME = 3.0, 0.75  # seconds, correlation: the same scene again
_ASIDE = 2  # cells that it may have moved
_GOOD, _SHARED = 0.4, 0.5  # of the best stretch's explanation; of a stretch: what it shares with better ones
_SOFT = 2.0  # pictures at either end of a dissolve whose share of the other scene may rise more slowly
_MARGIN = 2  # pictures added at either end


@dataclass
class Gradual:
    """Frames are shown to it in order of time; about 500 bytes a picture are held."""

    _times: list[float] = field(default_factory=list)
    _pictures: list[NDArray[np.uint8]] = field(default_factory=list)
    _details: list[Floats] = field(default_factory=list)

    def see(self, time: float, rgb: NDArray[np.uint8]) -> None:
        """The next frame (H, W, 3), and its time in seconds."""
        self._times.append(time)
        self._pictures.append(np.asarray(cv2.resize(rgb, _SIZE, interpolation=cv2.INTER_AREA), np.uint8))
        self._details.append(_detail(rgb))

    def alike(self, a: int, b: int) -> float:
        """Correlation (-1 to 1) of the brightness of two frames, bars aside; 0 where one shows nothing."""
        first, second = self._pictures[a], self._pictures[b]
        lit = (np.maximum(first, second).max(-1) > _BLACK).astype(np.uint8)
        inside = cv2.erode(lit, np.ones((3, 3), np.uint8)).astype(bool)  # where bars end, cells mix with them
        if inside.mean() < _LIT:
            inside[:] = True
        return float(_alike(*(picture[inside][None].astype(np.float32) for picture in (first, second)))[0])

    def transitions(self, first: int, stop: int) -> list[Span]:
        """Dissolves and wipes among frames ``first`` to ``stop`` (not included), which hold no cut: first mixed frame,
        frame after the last."""
        shown = self._shown(first, stop)
        found: list[_Candidate] = []
        step = _CHUNK - 2 * _REACH[-1]
        for start in range(0, max(1, len(shown) - 2 * _REACH[-1]), step):
            indices = shown[start : start + _CHUNK]
            pictures = np.stack([self._pictures[index] for index in indices]).astype(np.float32)
            details = np.stack([self._details[index] for index in indices])
            cells = pictures.reshape(len(indices), _CELLS, 3)
            found += [c.moved(start) for c in [*_wipes(cells), *_dissolves(cells, details)]]
        spans: list[Span] = []
        for a, b in _separate(found, lambda first, last: self._narrowed(shown, first, last)):
            begin, end = shown[max(0, a)], shown[min(len(shown) - 1, b)]
            since = spans[-1][1] if spans else first
            if begin > first and end < stop - 1 and not self._comes_back(since, begin, end, stop):
                spans.append((begin, end + 1))
        return spans

    def _comes_back(self, first: int, begin: int, end: int, stop: int) -> bool:
        """Whether what is seen behind a transition was seen before it already, or the other way round: something
        passed the camera."""
        before = [i for i in range(first, begin) if self._times[i] > self._times[begin] - _BACK]
        after = [i for i in range(end + 1, stop) if self._times[i] < self._times[end] + _BACK]
        return any(self._seen_again(end, index) for index in before) or any(
            self._seen_again(begin, index) for index in after
        )

    def _seen_again(self, a: int, b: int) -> bool:
        """Whether two frames show the same scene, which may have moved sideways a little: the camera pans on."""
        one, two = (self._pictures[i].astype(np.float32) for i in (a, b))
        width = _SIZE[0]
        for by in range(-_ASIDE, _ASIDE + 1):
            left, right = one[:, max(0, by) : width + min(0, by)], two[:, max(0, -by) : width + min(0, -by)]
            if _alike(left.reshape(1, -1, 3), right.reshape(1, -1, 3))[0] >= _SAME:
                return True
        return False

    def _narrowed(self, shown: list[int], first: float, last: float) -> tuple[float, float]:
        """A dissolve's bounds within wider ones, from all its pictures at once."""
        a, b = max(0, int(first)), min(len(shown), int(np.ceil(last)) + 1)
        stretch = np.stack([self._pictures[index] for index in shown[a:b]]).astype(np.float32)
        held = _dissolve(stretch.reshape(b - a, _CELLS, 3), most=1.0)
        if held is None:
            return first, last
        return max(first, a + held.first - _SOFT), min(last, a + held.last + _SOFT)

    def _shown(self, first: int, stop: int) -> list[int]:
        """Frame numbers at ``_RATE`` a second by the frames' own times."""
        shown: list[int] = []
        due = 0.0
        for index in range(first, stop):
            following = self._times[index + 1] if index + 1 < stop else self._times[index] + 1 / _RATE
            due += min(following - self._times[index], _HELD) * _RATE
            while len(shown) + 0.5 < due:
                shown.append(index)
        return shown or [first]


def _detail(rgb: NDArray[np.uint8]) -> Floats:
    """Mean squared difference of neighboring pixels' brightness in each of ``_REGIONS``."""
    luma = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32)
    steps = np.diff(luma, axis=0)[:, :-1] ** 2 + np.diff(luma, axis=1)[:-1] ** 2
    return np.asarray(cv2.resize(steps, _REGIONS, interpolation=cv2.INTER_AREA).ravel(), np.float32)


@dataclass(frozen=True)
class _Candidate:
    """A transition's ``first`` and ``last`` picture, in fractions, and how well it explains what is seen, 0 to 1."""

    wipe: bool
    first: float
    last: float
    explained: float

    def moved(self, by: int) -> "_Candidate":
        return replace(self, first=self.first + by, last=self.last + by)


def _separate(
    found: Sequence[_Candidate], narrowed: Callable[[float, float], tuple[float, float]]
) -> list[Span]:
    """Transitions from candidates that overlap: of wipes the best one, which bounds it well. Of a dissolve each stretch
    shows a part, or all of it and more; so all good ones count, and what they span together is ``narrowed``."""
    spans: list[tuple[float, float]] = []
    for one in sorted(found, key=lambda c: (not c.wipe, -c.explained)):
        if any(one.first <= last and one.last >= first for first, last in spans):
            continue
        first, last = one.first, one.last
        for other in found if not one.wipe else []:
            good = not other.wipe and other.explained >= _GOOD * one.explained
            if good and min(last, other.last) - max(first, other.first) >= _SHARED * (
                other.last - other.first
            ):
                first, last = min(first, other.first), max(last, other.last)
        spans.append((first, last) if one.wipe else narrowed(first, last))
    return sorted((int(np.floor(a)) - _MARGIN, int(np.ceil(b)) + _MARGIN) for a, b in spans)


def _likely(pictures: Floats, reach: int) -> tuple[NDArray[np.intp], Floats]:
    """First pictures of stretches of ``2 * reach + 1`` that end in unlike pictures; how alike the ends of all are."""
    a, c = pictures[: -2 * reach], pictures[2 * reach :]
    alike = _alike(a, c)
    contrasts = np.sort([_contrast(a), _contrast(c)], 0)
    seen = contrasts[0] >= np.maximum(_CONTRAST, _EVEN * contrasts[1])
    levels = np.maximum(_LEAST, _PART * np.sqrt(contrasts[1]))
    changed = (np.abs(a - c).max(-1) > levels[:, None]).sum(1)
    shown = (np.maximum(a, c).max(-1) > _BLACK).sum(1)
    seen &= shown >= _LIT * _CELLS
    return np.flatnonzero(seen & (alike <= _ALIKE) & (changed >= _CHANGED * shown)), alike


def _dissolves(pictures: Floats, details: Floats) -> list[_Candidate]:
    found = []
    levels = np.maximum(pictures.mean((1, 2)), 1.0) ** 2
    for reach in _REACH:
        if len(pictures) <= 2 * reach:
            break
        at, alike = _likely(pictures, reach)
        for start in at:
            end = start + 2 * reach + 1
            # Beside the detail itself that of the picture at one brightness: a change of exposure changes both.
            if _dips(details[start:end]) and _dips(details[start:end] / levels[start:end, None]):
                held = _dissolve(pictures[start:end], _MIXED * (1 - float(alike[start])))
                if held is not None:
                    found.append(held.moved(int(start)))
    return found


def _wipes(pictures: Floats) -> list[_Candidate]:
    last = len(pictures) - 1
    number = np.arange(len(pictures))
    change = pictures[np.minimum(number + _GAP, last)] - pictures[np.maximum(number - _GAP, 0)]
    energy = (change**2).sum(-1)
    found = []
    for reach in _SWEEPS:
        if len(pictures) <= 2 * reach:
            break
        for start in _likely(pictures, reach)[0]:
            held = _wipe(energy[start : start + 2 * reach + 1])
            if held is not None:
                found.append(held.moved(int(start)))
    return found


def _contrast(pictures: Floats) -> Floats:
    """Variance of the brightness of pictures (N, cells, 3)."""
    return np.asarray(pictures.mean(-1).var(1), np.float32)


def _alike(a: Floats, b: Floats) -> Floats:
    """Correlation of the brightness of pictures (N, cells, 3), without what is black in both: bars; 0 where one of
    the two shows nothing."""
    first, second = a.mean(-1), b.mean(-1)
    seen = (np.maximum(first, second) > _BLACK).astype(np.float32)
    count = np.maximum(seen.sum(1, keepdims=True), 1)
    first, second = ((luma - (seen * luma).sum(1, keepdims=True) / count) * seen for luma in (first, second))
    norm = np.sqrt((first**2).sum(1) * (second**2).sum(1))
    return np.asarray((first * second).sum(1) / np.maximum(norm, 1), np.float32)


def _dips(details: Floats) -> bool:
    """Whether detail, (N, regions), goes down in the middle of a stretch, all in all and in most regions: two pictures
    mixed half and half keep half of the mean of theirs, and a slow pan, which coarse pictures do not tell from mixing,
    all of it. A subtitle that ends, or two with a gap between, change all of it by what they change in one place."""
    half = len(details) // 2
    ends = (details[:2].mean(0) + details[-2:].mean(0)) / 2
    middle = details[half - 1 : half + 2].mean(0)
    busy = ends >= _BUSY * ends.mean()
    parts = middle[busy] / np.maximum(ends[busy], 1e-9)
    return bool(middle.mean() <= _DIP * ends.mean() and np.median(parts) <= _DIP)


def _dissolve(stretch: Floats, most: float) -> _Candidate | None:
    """That of a stretch that passes from its first to its last picture by mixing; at ``most`` such a part of what
    differs between the two is something else."""
    a, way = stretch[0], stretch[-1] - stretch[0]
    differs = max(float((way**2).sum()), 1.0)
    half = stretch[len(stretch) // 2] - a
    share = float((half * way).sum()) / differs
    if float(((half - share * way) ** 2).sum()) > 3 * most * differs:  # rules out nearly all
        return None
    parts = stretch - a
    shares = (parts * way).sum((1, 2)) / differs
    rest = float(((parts - shares[:, None, None] * way) ** 2).sum((1, 2))[1:-1].mean()) / differs
    mixed = (shares > 0.15) & (shares < 0.85)
    if rest > most or np.abs(np.diff(shares)).max() > _STEP or mixed.mean() < _BETWEEN:
        return None
    numbers = np.flatnonzero((shares > 0.2) & (shares < 0.8))
    if len(numbers) < 2:
        return None
    slope, at_zero = np.polyfit(numbers, shares[numbers], 1)
    if slope * len(stretch) < 0.5:
        return None
    return _Candidate(False, -at_zero / slope, (1 - at_zero) / slope, 1 - rest / most)


def _columns(x: NDArray[np.float64], y: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """For each kind of edge that sweeps (straight, doors, circle, box): columns of a linear model of when it passes a
    place, which is measured from the picture's middle in parts of its sides."""
    one, round_ = np.ones_like(x), np.hypot(x, y * _SIZE[1] / _SIZE[0])
    kinds = [(x, y), (np.abs(x),), (np.abs(y),), (round_,), (np.maximum(np.abs(x), np.abs(y)),)]
    return [np.stack([one, *kind], 1) for kind in kinds]


_rows, _places = np.mgrid[: _SIZE[1], : _SIZE[0]].reshape(2, -1)
_EDGES = _columns((_places + 0.5) / _SIZE[0] - 0.5, (_rows + 0.5) / _SIZE[1] - 0.5)
# Where an edge begins or ends: in a corner, or in the middle.
_ENDS = _columns(np.array([-0.5, -0.5, 0.5, 0.5, 0.0]), np.array([-0.5, 0.5, -0.5, 0.5, 0.0]))


def _wipe(energy: Floats) -> _Candidate | None:
    """That of a stretch in which nearly all change, by picture and place (N, cells), is where an edge passes."""
    times, weights = energy.argmax(0).astype(float), np.sqrt(energy.max(0)).astype(float)
    weights = weights / max(float(weights.sum()), 1e-6)
    near, total = _NEAR * len(energy), max(float(energy.sum()), 1e-6)
    number = np.arange(len(energy))[:, None]
    if float(energy[np.abs(number - times) <= 1.5 * near].sum()) < _CHANGE * total:  # rules out nearly all
        return None
    sweeps = [_sweep(columns, times, weights, near) for columns in _EDGES]
    kind = int(np.argmax([share for share, _ in sweeps]))
    share, model = sweeps[kind]
    if share < _INLIERS:
        return None
    change = float(energy[np.abs(number - _EDGES[kind] @ model) <= near].sum()) / total
    swept = _ENDS[kind] @ model
    first, last = float(swept.min()), float(swept.max())
    if change < _CHANGE or last - first < max(_SHORTEST, _SWEEP * len(energy)):
        return None
    return _Candidate(True, first, last, (share + change) / 2)


def _sweep(
    columns: NDArray[np.float64], times: NDArray[np.float64], weights: NDArray[np.float64], near: float
) -> tuple[float, NDArray[np.float64]]:
    """Share of places that an edge passes when a linear model says, and that model; the others do not bend it."""
    use, model = weights, np.zeros(columns.shape[1])
    for _ in range(4):
        root = np.sqrt(use)
        model = np.linalg.lstsq(columns * root[:, None], times * root, rcond=None)[0]
        away = np.abs(columns @ model - times)
        use = weights / np.maximum(away / near, 0.2)
    return float(weights[away <= near].sum()), model
