"""Totals of models that were made several times, with intervals over the repeats and over prompts."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hummingbird.evaluation.intervals import Interval, Values, interval_of, raw_table, score_table, strata_of

Tables = list[NDArray[np.float64]]
Pair = tuple[str, str]


def score_repeats(
    models: Mapping[str, Sequence[Values]], pairs: Sequence[Pair], resamples: int, seed: int
) -> tuple[dict[str, Interval], dict[Pair, Interval]]:
    """The total of every model, and the first's lead over the second for every pair of models.

    Repeats are drawn with replacement, and within each of them prompts, those of one object and those of two by
    themselves. All models share the draws: repeat k of every model must have the same prompts, so that a lead is
    paired and its interval narrower than two totals' suggest.

    Args:
        models: by name, a list a repeat of the raw values of its videos.

    Raises:
        ValueError: models that differ in repeats or prompts.
    """
    tables = {name: [raw_table(values) for values in repeats] for name, repeats in models.items()}
    first = next(iter(tables.values()))
    for name, own in tables.items():
        same = len(own) == len(first) and all(
            a.shape == b.shape and (np.isnan(a) == np.isnan(b)).all() for a, b in zip(own, first, strict=True)
        )
        if not same:
            raise ValueError(
                f"{name} was not measured on the same repeats and prompts as {next(iter(tables))}"
            )
    strata = [[np.flatnonzero(mask) for mask in strata_of(table)] for table in first]
    rng = np.random.default_rng(seed)
    drawn: dict[str, list[float]] = {name: [] for name in tables}
    for _ in range(resamples):
        chosen = [
            (repeat, np.concatenate([rng.choice(rows, len(rows)) for rows in strata[repeat]]))
            for repeat in rng.integers(len(first), size=len(first))
        ]
        for name, own in tables.items():
            drawn[name].append(_total([own[repeat][rows] for repeat, rows in chosen]))
    totals = {name: _total(own) for name, own in tables.items()}
    leads = {
        (a, b): interval_of(totals[a] - totals[b], [x - y for x, y in zip(drawn[a], drawn[b], strict=True)])
        for a, b in pairs
    }
    return {name: interval_of(totals[name], drawn[name]) for name in tables}, leads


def _total(tables: Tables) -> float:
    return score_table(np.concatenate(tables)).total
