"""Thresholds from settings: numbers as they are, percentiles from the scores of a run's clips."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from hummingbird.config.curate import CurateSettings

from hummingbird_data.verdicts.order_statistics import Chunks, percentiles
from hummingbird_data.verdicts.verdict import Thresholds

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

    @property
    def columns(self) -> list[str]:
        """The columns of scores that percentiles are taken of."""
        return sorted({_SCORES[name] for name in self.percentiles})

    def resolved(self, read: Callable[[], Chunks] | None = None) -> Thresholds:
        """Percentiles as values of the scores that ``read`` yields, again at each call; clips without a score do not
        count.

        A value is one that a clip has, so the share dropped is never larger than asked for. Without scores nothing
        is dropped for them.
        """
        wanted = {
            name: (_SCORES[name], percent, name.startswith("min"))
            for name, percent in self.percentiles.items()
        }
        numbers = {name: value for name, value in self.values.items() if not isinstance(value, str)}
        found = percentiles(read, wanted) if read is not None and wanted else dict.fromkeys(wanted)
        for name, value in found.items():
            if value is None:
                numbers[name] = -np.inf if name.startswith("min") else np.inf
            else:
                # Freezes are dropped from their threshold on, all others beyond it.
                numbers[name] = float(np.nextafter(value, np.inf)) if name == "max_freeze" else value
        return Thresholds(min_seconds=self.min_seconds, **numbers)
