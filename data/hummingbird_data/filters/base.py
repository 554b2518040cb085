"""The seam "filter": what scores clips, and drops those whose score is beyond a threshold.

A filter is one class. The plan of curation, thresholds, verdicts, the table's schema and the review page ask what it
declares; nothing else knows a filter by name. `curate.filters` takes more of them by import path.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from hummingbird.config.plugins import NoSettings
from hummingbird.config.section import Section
from hummingbird.config.settings import Settings as SettingsTree
from hummingbird.lake.lake import Lake

from hummingbird_data.stage import Row, Stage

Limits = Mapping[str, float]
"""Thresholds as numbers, by the names of their settings."""


@dataclass(frozen=True)
class Threshold:
    """A setting that is a number or a percentile ("10%") of a column of scores.

    Attributes:
        setting: its name in the filter's ``Settings``.
        column: the score that is compared with it.
        drops: clips ``below`` it, ``above`` it, or ``from`` it on.
    """

    setting: str
    column: str
    drops: Literal["below", "above", "from"]

    def applies(self, score: float | None, limit: float) -> bool:
        """Whether a score is beyond the limit; a clip without the score is not."""
        if score is None:
            return False
        if self.drops == "below":
            return score < limit
        return score >= limit if self.drops == "from" else score > limit


class Filter(ABC):
    """One reason to drop a clip.

    Attributes:
        reason: what the column ``reasons`` says of a dropped clip.
        scores: the columns of numbers that its stage fills, and what the review page calls them.
        threshold: what decides.
    """

    Settings: ClassVar[type[Section]] = NoSettings
    reason: ClassVar[str]
    scores: ClassVar[Mapping[str, str]]
    threshold: ClassVar[Threshold]

    def __init__(self, settings: Section) -> None:
        self.settings = settings

    @abstractmethod
    def stages(self, settings: SettingsTree) -> Sequence[Stage]:
        """The stages that fill its columns, in order; one that another filter names too runs once.

        Args:
            settings: the whole tree.

        Raises:
            InputError: a model is missing.
        """

    def models(self, settings: SettingsTree) -> Mapping[str, Path]:
        """The folders or files of the models that its scores come from, by what ``models_licence`` calls them."""
        return {}

    def check(self, settings: SettingsTree) -> None:  # noqa: B027 (most filters have no model)
        """Whether its models can be used, before anything is read. Raises InputError where they cannot."""

    def limit(self, settings: SettingsTree) -> float | str:
        """The threshold as it is set: a number, or a percentile as text."""
        value: float | str = getattr(self.settings, self.threshold.setting)
        return value

    def drops(self, row: Row, limits: Limits) -> bool:
        """Whether a scored clip is dropped.

        Args:
            row: a row of the table ``clips``.
            limits: of all filters.
        """
        return self.threshold.applies(row.get(self.threshold.column), limits[self.threshold.setting])


def declare_scores(lake: Lake, filters: Sequence[Filter]) -> None:
    """Lets the lake's table of clips hold what the filters write."""
    columns = {column: title for one in filters for column, title in one.scores.items()}
    lake.declare_scores(columns, [one.reason for one in filters])


def describe_filters(filters: Sequence[Filter], limits: Limits) -> list[dict[str, Any]]:
    """What filters declare, with their thresholds as they were applied: for ``result.json`` and its readers."""
    return [
        {
            "reason": one.reason,
            "scores": dict(one.scores),
            "setting": one.threshold.setting,
            "column": one.threshold.column,
            "drops": one.threshold.drops,
            "threshold": str(limits[one.threshold.setting]),
        }
        for one in filters
    ]
