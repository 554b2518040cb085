"""Thresholds from settings: numbers as they are, percentiles from the scores of a run's clips."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from hummingbird.config.curate import CurateSettings

from hummingbird_data.stage import Row
from hummingbird_data.verdict import Thresholds

_SCORES = {
    "min_technical": "quality_technical",
    "min_weightless": "quality_weightless",
    "min_motion": "motion_score",
    "max_freeze": "freeze_score",
    "max_zoom": "zoom_score",
    "max_flicker": "flicker_score",
    "max_text": "text_share",
}
THRESHOLDS = tuple(_SCORES)
"""Settings that a change of which needs no new scores."""


@dataclass(frozen=True)
class Given:
    """What the settings ask for: ``values`` by the names of settings, numbers or percentiles."""

    min_seconds: float
    values: Mapping[str, float | str]

    @classmethod
    def by(cls, settings: CurateSettings, model_threshold: float | None) -> "Given":
        """Those of ``settings``; ``model_threshold``: what the quality model came with."""
        values = {name: getattr(settings, name) for name in THRESHOLDS}
        if values["min_technical"] is None:
            values["min_technical"] = model_threshold if model_threshold is not None else -np.inf
        return cls(settings.min_seconds, values)

    @property
    def percentiles(self) -> dict[str, float]:
        """The settings that are percentiles, 0 to 100."""
        return {name: float(v.rstrip("%")) for name, v in self.values.items() if isinstance(v, str)}

    def resolved(self, rows: Iterable[Row]) -> Thresholds:
        """Percentiles as values of the scores of ``rows``; clips without a score do not count.

        A value is one that a clip has, so the share dropped is never larger than asked for. Without rows, or where
        none has the score, nothing is dropped for it.
        """
        wanted = self.percentiles
        found: dict[str, list[float]] = {name: [] for name in wanted}
        for row in rows if wanted else ():
            for name, values in found.items():
                if row[_SCORES[name]] is not None:
                    values.append(row[_SCORES[name]])
        numbers = {name: value for name, value in self.values.items() if not isinstance(value, str)}
        for name, values in found.items():
            lowest = name.startswith("min")
            if values:
                value = _percentile(values, wanted[name], lowest)
                # Freezes are dropped from their threshold on, all others beyond it.
                numbers[name] = float(np.nextafter(value, np.inf)) if name == "max_freeze" else value
            else:
                numbers[name] = -np.inf if lowest else np.inf
        return Thresholds(min_seconds=self.min_seconds, **numbers)


def _percentile(values: list[float], percent: float, lower: bool) -> float:
    if lower:
        return float(np.percentile(values, percent, method="lower"))
    return float(np.percentile(values, percent, method="higher"))
