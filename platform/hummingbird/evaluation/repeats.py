"""Totals of models that were made several times, with intervals over the repeats and over prompts."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hummingbird.evaluation.intervals import Interval, Scale, Values, ValueTable, interval_of

ModelPair = tuple[str, str]


def score_repeats(
    scale: Scale,
    models: Mapping[str, Sequence[Values]],
    pairs: Sequence[ModelPair],
    resamples: int,
    seed: int,
) -> tuple[dict[str, Interval], dict[ModelPair, Interval]]:
    """The total of every model, and the difference of the first's and the second's for every pair of models.

    Repeats are drawn with replacement, and within each of them prompts. All models share the draws: repeat k of every
    model must have the same prompts, so that a difference is paired and its interval narrower than two totals' suggest.

    Args:
        models: by name, a list a repeat of the raw values of its videos.

    Raises:
        ValueError: models that differ in repeats or prompts, or whose total cannot be computed.
    """
    tables = {name: [ValueTable(scale, values) for values in repeats] for name, repeats in models.items()}
    first_name, first = next(iter(tables.items()))
    for name, own in tables.items():
        if len(own) != len(first) or not all(map(ValueTable.is_of_the_same_videos, own, first)):
            raise ValueError(f"{name} was not measured on the same repeats and prompts as {first_name}")
    rng = np.random.default_rng(seed)
    drawn: dict[str, list[float]] = {name: [] for name in tables}
    for _ in range(resamples):
        chosen = [(repeat, first[repeat].draw(rng)) for repeat in rng.integers(len(first), size=len(first))]
        for name, own in tables.items():
            drawn[name].append(_total(own[0], [own[repeat].rows(rows) for repeat, rows in chosen]))
    totals = {name: _total(own[0], [table.rows() for table in own]) for name, own in tables.items()}
    differences = {
        (a, b): interval_of(totals[a] - totals[b], [x - y for x, y in zip(drawn[a], drawn[b], strict=True)])
        for a, b in pairs
    }
    return {name: interval_of(totals[name], drawn[name]) for name in tables}, differences


def _total(table: ValueTable, rows: Sequence[NDArray[np.float64]]) -> float:
    total = table.score(np.concatenate(rows)).total
    if total is None:
        raise ValueError("a total cannot be computed without all its dimensions")
    return total
