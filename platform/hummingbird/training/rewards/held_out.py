"""Held-out rewards: watched, never trained on. Where they fall while the trained ones rise, the student cheats."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean, median
from typing import Any

from hummingbird.config.feedback import HeldOutSettings

TERM = "held_out/"
"""How a held-out reward's term begins in the log; a trained one's with ``reward/``."""
SURE = 8.0
"""Standard errors of a window's mean that a fall must exceed: among the pairs of a hundred readings' windows,
two that differ by seven come by chance once in thirty runs."""
LEAST = 14
"""Readings that tell the noise well enough."""


@dataclass
class HeldOutWatch:
    """Readings of held-out rewards beside the weighted sum of the trained ones.

    Attributes:
        weights: of the trained rewards.
        readings: by held-out reward: pairs of its score and the trained sum, since the last alarm.
    """

    settings: HeldOutSettings
    weights: Mapping[str, float]
    readings: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    def read(self, lines: Sequence[Mapping[str, float]]) -> list[str]:
        """Takes lines of the log, whose means are over all workers; what is to be said of them."""
        said = []
        for line in lines:
            trained = sum(
                weight * line[f"reward/{name}"]
                for name, weight in self.weights.items()
                if f"reward/{name}" in line
            )
            for term in line:
                if term.startswith(TERM):
                    readings = self.readings.setdefault(term.removeprefix(TERM), [])
                    readings.append((line[term], trained))
                    alarm = self._alarm(readings)
                    if alarm is not None:
                        said.append(f"the held-out reward {term.removeprefix(TERM)} {alarm}")
                        self.readings.clear()
                        break
        return said

    def _alarm(self, readings: Sequence[tuple[float, float]]) -> str | None:
        count = self.settings.window
        if len(readings) < max(2 * count, LEAST):
            return None
        windows = [readings[at : at + count] for at in range(len(readings) - 2 * count + 1)]
        best, last = max(windows, key=_held), readings[-count:]
        fall, rise = _held(best) - _held(last), _trained(last) - _trained(best)
        if fall <= max(self.settings.drop, SURE * _noise(readings) / math.sqrt(count)) or rise <= 0:
            return None
        return (
            f"fell from {_held(best):.4g} to {_held(last):.4g} while the trained ones rose from "
            f"{_trained(best):.4g} to {_trained(last):.4g}: they are cheated"
        )

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {name: [list(pair) for pair in pairs] for name, pairs in self.readings.items()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restores `state`."""
        self.readings = {name: [(held, trained) for held, trained in pairs] for name, pairs in state.items()}


def _noise(readings: Sequence[tuple[float, float]]) -> float:
    """Standard deviation of a reading about its trend, by the median jump from one to the next."""
    return median(abs(b - a) for (a, _), (b, _) in pairwise(readings)) / 0.954


def _held(window: Sequence[tuple[float, float]]) -> float:
    return fmean(held for held, _ in window)


def _trained(window: Sequence[tuple[float, float]]) -> float:
    return fmean(trained for _, trained in window)
