"""Thresholds from settings: numbers as they are, percentiles from the scores of a run's clips."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hummingbird.config.settings import Settings
from numpy.typing import NDArray

from hummingbird_data.filters.base import Filter, Limits, Threshold

Scores = Mapping[str, NDArray[Any]]
"""Columns of scores."""


@dataclass(frozen=True)
class Thresholds:
    """What the settings ask for: ``values`` by the names of settings, numbers or percentiles."""

    min_seconds: float
    values: Mapping[str, float | str]
    declared: Mapping[str, Threshold]

    @classmethod
    def of(cls, filters: Sequence[Filter], settings: Settings) -> "Thresholds":
        """Those of ``filters``."""
        return cls(
            settings.curate.min_seconds,
            {one.threshold.setting: one.limit(settings) for one in filters},
            {one.threshold.setting: one.threshold for one in filters},
        )

    @property
    def percentiles(self) -> dict[str, float]:
        """The settings that are percentiles, 0 to 100."""
        return {name: float(v.rstrip("%")) for name, v in self.values.items() if isinstance(v, str)}

    @property
    def columns(self) -> list[str]:
        """The columns of scores that percentiles are taken of."""
        return sorted({self.declared[name].column for name in self.percentiles})

    def resolved(self, read: Callable[[], Iterable[Scores]] | None = None) -> Limits:
        """Percentiles as values of the scores that ``read`` yields in chunks; clips without a score do not count.

        A value is one that a clip has, so the share dropped is never larger than asked for. Without scores nothing
        is dropped for them. The columns are in memory at once: 8 bytes a clip and column.
        """
        limits = {name: float(value) for name, value in self.values.items() if not isinstance(value, str)}
        chunks = list(read()) if read is not None and self.percentiles else []
        for name, percent in self.percentiles.items():
            threshold = self.declared[name]
            below = threshold.drops == "below"
            scores = np.concatenate([chunk[threshold.column] for chunk in chunks] or [np.zeros(0)])
            if not len(scores):
                limits[name] = -np.inf if below else np.inf
                continue
            value = np.percentile(scores, percent, method="lower" if below else "higher")
            limits[name] = float(np.nextafter(value, np.inf) if threshold.drops == "from" else value)
        return {"min_seconds": self.min_seconds, **limits}
