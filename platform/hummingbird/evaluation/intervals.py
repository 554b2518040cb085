"""Scores of models from their videos' raw values, with 95 % bootstrap intervals over prompts."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from hummingbird.evaluation.score import SHAPES, Score, score

LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % percentile interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ModelScore:
    """Total, parts and normalised dimensions in [0, 1], the raw means, and the total's lead over the first
    model.

    ``lead`` is paired: its interval resamples prompts for both models at once, so it is much narrower than
    the two totals' intervals suggest. It is None for the first model itself.
    """

    total: Interval
    quality: Interval
    semantic: Interval
    dimensions: Mapping[str, Interval]
    raw: Mapping[str, float]
    lead: Interval | None

    def as_json(self) -> dict[str, object]:
        return asdict(self)


Values = Sequence[Mapping[str, float]]
"""One mapping of dimension to raw value a prompt, in the same order of prompts for every model."""


def score_models(videos: Mapping[str, Values], resamples: int, seed: int) -> dict[str, ModelScore]:
    """Score every model on the same prompts.

    Prompts are resampled within those of one object and those of two, as their numbers are set and not
    drawn, and in the same way for all models. Raises ValueError where models have different prompts or a
    dimension has no value at all.
    """
    tables = {model: raw_table(values) for model, values in videos.items()}
    first = next(iter(tables.values()))
    for model, table in tables.items():
        if table.shape != first.shape or (np.isnan(table) != np.isnan(first)).any():
            raise ValueError(f"{model} was not measured on the same prompts as {next(iter(tables))}")
    strata = [np.flatnonzero(mask) for mask in strata_of(first)]
    rng = np.random.default_rng(seed)
    drawn = [np.concatenate([rng.choice(s, len(s)) for s in strata]) for _ in range(resamples)]
    samples = {model: [score_table(table[chosen]) for chosen in drawn] for model, table in tables.items()}
    base = next(iter(tables))
    return {model: _model_score(tables, samples, model, base) for model in tables}


def raw_table(values: Values) -> NDArray[np.float64]:
    """Raw values, a row a prompt and a column a dimension; NaN where a prompt has no value."""
    return np.array([[row.get(d.name, np.nan) for d in SHAPES] for row in values], np.float64)


def strata_of(table: NDArray[np.float64]) -> list[NDArray[np.bool_]]:
    """Prompts that have the same dimensions belong together."""
    _, kind = np.unique(np.isnan(table), axis=0, return_inverse=True)
    return [kind.ravel() == k for k in range(int(kind.max()) + 1)]


def _raw(table: NDArray[np.float64]) -> dict[str, float]:
    return dict(zip((d.name for d in SHAPES), np.nanmean(table, axis=0).tolist(), strict=True))


def score_table(table: NDArray[np.float64]) -> Score:
    """The score of a table's means."""
    return score(_raw(table))


def _model_score(
    tables: Mapping[str, NDArray[np.float64]], samples: Mapping[str, list[Score]], model: str, base: str
) -> ModelScore:
    value, drawn = score_table(tables[model]), samples[model]
    lead = None
    if model != base:
        differences = [a.total - b.total for a, b in zip(drawn, samples[base], strict=True)]
        lead = interval_of(value.total - score_table(tables[base]).total, differences)
    return ModelScore(
        total=interval_of(value.total, [s.total for s in drawn]),
        quality=interval_of(value.quality, [s.quality for s in drawn]),
        semantic=interval_of(value.semantic, [s.semantic for s in drawn]),
        dimensions={
            name: interval_of(found, [s.dimensions[name] for s in drawn])
            for name, found in value.dimensions.items()
        },
        raw=_raw(tables[model]),
        lead=lead,
    )


def interval_of(value: float, drawn: Sequence[float]) -> Interval:
    """A value with the 95 % percentile interval of what was drawn."""
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, float(low), float(high))
