"""The filters of a run: those that come with the project, and those that ``curate.filters`` names."""

from hummingbird.config.plugins import Plugin, resolve_plugins
from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError

from hummingbird_data.filters.base import Filter
from hummingbird_data.filters.motion import FlickerFilter, FreezeFilter, StaticFilter, ZoomFilter
from hummingbird_data.filters.quality import AestheticFilter, OverallFilter, TechnicalFilter
from hummingbird_data.filters.technical import WeightlessFilter
from hummingbird_data.filters.text import TextFilter

ALWAYS: tuple[type[Filter], ...] = (
    TechnicalFilter, AestheticFilter, OverallFilter, WeightlessFilter, StaticFilter, FreezeFilter, FlickerFilter,
    ZoomFilter, TextFilter,
)  # fmt: skip
"""Filters of every run; their thresholds are settings of ``curate`` itself."""

KNOWN: dict[str, str] = {"clip_aesthetic": "hummingbird_data.filters.clip_aesthetic:ClipAestheticFilter"}
"""Short names of further filters for ``curate.filters``, and their import paths."""


def chosen_filters(settings: Settings) -> list[Plugin[Filter]]:
    """The filters that ``curate.filters`` names.

    Raises:
        InputError: no such filter, or settings that it refuses.
    """
    return resolve_plugins("curate.filters", settings.curate.filters, KNOWN, Filter)  # type: ignore[type-abstract]


def filters_of(settings: Settings) -> list[Filter]:
    """All filters of a run.

    Raises:
        InputError: see `chosen_filters`; or two filters with one reason's setting or one column.
    """
    filters = [kind(settings.curate) for kind in ALWAYS] + [one.build() for one in chosen_filters(settings)]
    for what, names in (
        ("setting", [one.threshold.setting for one in filters]),
        ("column", [column for one in filters for column in one.scores]),
    ):
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(f"curate.filters: two filters have the {what} '{twice[0]}'; rename one")
    return filters
