"""The clock of a film, in one place: from the times of its pictures to pictures at a constant rate.

The rules:

- A picture is shown from its own time until the next one's. The last one is shown for as long as the file states, or
  for one step.
- A picture is held for ``hold`` seconds at most. Where the next one comes later, the clock has a gap: the picture ends
  with its own time (what the file states if it is no longer than that, else one step), and what follows is another
  part.
- The rate is that of the steps that occur most; where none prevails, and the pictures are as even at their mean rate
  (soft telecine), that; else the shortest step that occurs often. So no picture that is shown is left out, and each has
  at least one frame.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.float64]

_SLOWEST, _FASTEST = 1, 240  # frames a second
_NEAR = 0.1  # steps that differ by less are the same one, as far as the clock's tick can tell
_PREVAILS = 0.6  # share of all steps
_OFTEN = 0.1
_SAME = 0.002  # rates that differ by less: the file's own, or a usual one
_USUAL = tuple(
    Fraction(*rate)
    for rate in ((24000, 1001), (24, 1), (25, 1), (30000, 1001), (30, 1), (50, 1), (60000, 1001), (60, 1))
)


@dataclass(frozen=True)
class Frame:
    """``time`` in seconds on the clock of the film; ``rgb`` uint8 (H, W, 3).

    ``luma``: a larger gray picture (H, W) of the same frame, where one was asked for. ``duration``: how long the file
    says that it is shown, 0 for nothing said. ``part``: goes up where the clock has a gap or begins anew.
    """

    time: float
    rgb: NDArray[np.uint8]
    luma: NDArray[np.uint8] | None = None
    duration: float = 0.0
    part: int = 0


def own_time(step: float, stated: float, usual: float, hold: float) -> float:
    """How long a picture is shown, in seconds: until the next one comes after ``step``, if that is no gap."""
    if step <= hold:
        return step
    return stated if usual < stated <= hold else usual


def shown_seconds(times: Times, usual: float, hold: float) -> float:
    """The time that pictures at ``times`` are shown in all, gaps aside."""
    steps = np.diff(np.sort(times))
    return float(np.where(steps > hold, usual, steps).sum()) + (usual if len(times) else 0.0)


def rate_of(times: Times, tick: float, declared: Sequence[Fraction], hold: float) -> Fraction:
    """Frames a second for pictures shown at ``times`` (seconds), on a clock of ``tick`` seconds.

    ``declared``: what the file says; one of these is used where it fits, as are the usual rates.
    """
    steps = np.diff(np.sort(times))
    steps = steps[(steps > 0) & (steps <= hold)]
    if not len(steps):
        fitting = [rate for rate in declared if _SLOWEST <= rate <= _FASTEST]
        return fitting[0] if fitting else Fraction(25)
    step, share = _most(steps, tick)
    if share < _PREVAILS:
        step = _even_step(np.unique(times), hold) or _shortest_often(steps, tick)
    rate = _named(1 / step, declared)
    if rate < _SLOWEST:
        rate *= -(-_SLOWEST // rate)  # each picture as several frames
    return min(rate, Fraction(_FASTEST))


def _most(steps: Times, tick: float) -> tuple[float, float]:
    """The step that occurs most, as the mean of those near it, and its share of all."""
    found = np.sort(steps)
    reach = np.maximum(_NEAR * found, 1.01 * tick)
    counts = np.searchsorted(found, found + reach, "right") - np.searchsorted(found, found - reach, "left")
    best = int(np.argmax(counts))
    near = found[np.abs(found - found[best]) <= reach[best]]
    return float(near.mean()), len(near) / len(found)


def _shortest_often(steps: Times, tick: float) -> float:
    left = steps
    shortest = float("inf")
    while len(left):
        step, share = _most(left, tick)
        if share * len(left) < _OFTEN * len(steps):
            break
        shortest = min(shortest, step)
        left = left[np.abs(left - step) > np.maximum(_NEAR * step, 1.01 * tick)]
    return shortest if np.isfinite(shortest) else float(np.median(steps))


def _even_step(times: Times, hold: float) -> float | None:
    """One step for all pictures, if none is more than half of it from where it would be;
    steps over ``hold`` aside."""
    runs = np.split(times, np.flatnonzero(np.diff(times) > hold) + 1)
    longest = max(runs, key=len)
    step = float(np.polyfit(np.arange(len(longest)), longest, 1)[0])
    off = [np.ptp(run - step * np.arange(len(run))) for run in runs]
    return step if max(off) <= step else None


def _named(rate: float, declared: Sequence[Fraction]) -> Fraction:
    for group in (declared, _USUAL):
        near = [known for known in group if abs(known / rate - 1) < _SAME]
        if near:
            return min(near, key=lambda known: abs(known - rate))
    return Fraction(rate).limit_denominator(1001)


def in_order(frames: Iterable[Frame], most: int = 16) -> Iterator[Frame]:
    """A decoder gives pictures in the order that they are shown in; where their times are those of coding (AVI has no
    others), the first picture takes the first of the times, and so on. ``most``: pictures that coding moves one by."""
    waiting: list[Frame] = []
    for frame in frames:
        waiting.append(frame)
        if len(waiting) > most:
            yield _first(waiting)
    while waiting:
        yield _first(waiting)


def _first(waiting: list[Frame]) -> Frame:
    earliest = min(range(len(waiting)), key=lambda k: (waiting[k].part, waiting[k].time))
    first, time = waiting[0], waiting[earliest].time
    waiting[earliest] = replace(waiting[earliest], time=first.time)
    waiting.pop(0)
    return replace(first, time=time)


@dataclass
class _Clock:
    """Frames of one part at a constant rate, from its first picture's time on."""

    rate: Fraction
    start: float
    part: int
    slots: int = field(default=0)

    def until(self, frame: Frame, end: float) -> Iterator[Frame]:
        """The picture as frames up to ``end``, at least one."""
        stop = int((end - self.start) * float(self.rate) + 0.5)
        for slot in range(self.slots, max(stop, self.slots + 1)):
            time = self.start + slot / float(self.rate)
            looked = frame.luma if slot == self.slots else None
            yield Frame(time, frame.rgb, looked, float(1 / self.rate), self.part)
        self.slots = max(stop, self.slots + 1)


def steady(frames: Iterable[Frame], rate: Fraction, hold: float) -> Iterator[Frame]:
    """The film at a constant ``rate``: frames with even times within each part, in the order of ``frames``."""
    usual = float(1 / rate)
    clock: _Clock | None = None
    current: Frame | None = None
    for frame in frames:
        if current is not None and clock is not None:
            step = frame.time - current.time
            yield from clock.until(current, current.time + own_time(step, current.duration, usual, hold))
            if frame.part != current.part or step > hold:
                ended = clock.start + clock.slots * usual
                clock = _Clock(rate, max(frame.time, ended), clock.part + 1)
        else:
            clock = _Clock(rate, frame.time, 0)
        current = frame
    if current is not None and clock is not None:
        last = current.duration if usual < current.duration <= hold else usual
        yield from clock.until(current, current.time + last)
