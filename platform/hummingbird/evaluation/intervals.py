"""Scores of models from their videos' raw values, with 95 % bootstrap intervals over prompts and seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hummingbird.evaluation.score import TOTAL, Dimension, Score, score

LEVEL = 0.95

Values = Sequence[Mapping[str, float]]
"""One mapping of dimension to raw value a video."""


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % percentile interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Scale:
    """What a suite declares of its score: dimensions, and the weights of the parts in the total."""

    dimensions: Sequence[Dimension]
    parts: Mapping[str, float]


class ValueTable:
    """Raw values of one model's videos: a row a video, a column a dimension, NaN where a prompt does not ask for it.

    Args:
        values: by dimension, a mapping a video.
        videos: the prompt and the seed of every video, the same for all models that are compared; none: a video a
            prompt, known by its place.
        asked: the dimensions that every video is for; none: those that it has values of. A definition may leave a
            video out of a dimension that it is for.
    """

    def __init__(
        self,
        scale: Scale,
        values: Values,
        videos: Sequence[tuple[str, int]] | None = None,
        asked: Sequence[frozenset[str]] | None = None,
    ) -> None:
        self.scale = scale
        self.videos = tuple(videos or ((str(place), 0) for place in range(len(values))))
        names = [d.name for d in scale.dimensions]
        self._values = np.array([[row.get(name, np.nan) for name in names] for row in values], np.float64)
        self._unasked = (
            np.isnan(self._values)
            if asked is None
            else np.array([[name not in own for name in names] for own in asked], bool)
        )

    def is_of_the_same_videos(self, other: "ValueTable") -> bool:
        """Whether both have the same prompts and seeds, asking for the same dimensions."""
        return self.videos == other.videos and bool((self._unasked == other._unasked).all())

    @cached_property
    def _prompts(self) -> list[NDArray[np.intp]]:
        """The rows of each prompt."""
        rows: dict[str, list[int]] = {}
        for row, (prompt, _) in enumerate(self.videos):
            rows.setdefault(prompt, []).append(row)
        return [np.array(own, np.intp) for own in rows.values()]

    @cached_property
    def _strata(self) -> list[NDArray[np.intp]]:
        """Prompts that ask for the same dimensions belong together."""
        first = self._unasked[[own[0] for own in self._prompts]]
        _, kinds = np.unique(first, axis=0, return_inverse=True)
        kinds = kinds.ravel()
        return [np.flatnonzero(kinds == kind) for kind in range(int(kinds.max()) + 1)]

    def draw(self, rng: np.random.Generator) -> NDArray[np.intp]:
        """Rows drawn with replacement: prompts within those that ask for the same, as their numbers are set and not
        drawn, then of each prompt its seeds."""
        chosen = np.concatenate([rng.choice(stratum, len(stratum)) for stratum in self._strata])
        groups = [self._prompts[prompt] for prompt in chosen]
        return np.concatenate([own if len(own) == 1 else rng.choice(own, len(own)) for own in groups])

    def rows(self, chosen: NDArray[np.intp] | None = None) -> NDArray[np.float64]:
        """The values of some rows, or of all."""
        return self._values if chosen is None else self._values[chosen]

    def means(self, rows: NDArray[np.float64] | None = None) -> dict[str, float]:
        """Means by dimension, of these rows or of all; without the dimensions that have no value."""
        table = self.rows() if rows is None else rows
        measured = np.flatnonzero(~np.isnan(table).all(axis=0))
        names = [self.scale.dimensions[column].name for column in measured]
        return dict(zip(names, np.nanmean(table[:, measured], axis=0).tolist(), strict=True))

    def score(self, rows: NDArray[np.float64] | None = None) -> Score:
        """The score of the means."""
        return score(self.means(rows), self.scale.dimensions, self.scale.parts)


@dataclass(frozen=True)
class ModelScore:
    """What is known of one model.

    Attributes:
        total: in [0, 1]; None where a part of it is missing.
        parts, dimensions: likewise, those that could be computed.
        raw: mean raw values by dimension.
        differences: total, parts and dimensions less those of the first model; none for the first itself. They are
            paired: an interval resamples prompts for both models at once, and is much narrower than the intervals of
            the two suggest.
    """

    total: Interval | None
    parts: Mapping[str, Interval]
    dimensions: Mapping[str, Interval]
    raw: Mapping[str, float]
    differences: Mapping[str, Interval]

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def score_models(tables: Mapping[str, ValueTable], resamples: int, seed: int) -> dict[str, ModelScore]:
    """Scores every model on the same videos, all sharing the draws.

    Raises:
        ValueError: models that were measured on other prompts, seeds or dimensions; names both.
    """
    first_name, first = next(iter(tables.items()))
    for name, table in tables.items():
        if not table.is_of_the_same_videos(first):
            raise ValueError(f"{name} was not measured on the same prompts as {first_name}")
    rng = np.random.default_rng(seed)
    drawn = [first.draw(rng) for _ in range(resamples)]
    scores = {name: _flat(table.score()) for name, table in tables.items()}
    samples = {
        name: [_flat(table.score(table.rows(chosen))) for chosen in drawn] for name, table in tables.items()
    }
    return {name: _model_score(table, scores, samples, name, first_name) for name, table in tables.items()}


def _flat(scored: Score) -> dict[str, float]:
    """Everything by name. Parts go after dimensions, which may have any name but a part's."""
    whole = {} if scored.total is None else {TOTAL: scored.total}
    return {**scored.dimensions, **scored.parts, **whole}


def _model_score(
    table: ValueTable,
    scores: Mapping[str, Mapping[str, float]],
    samples: Mapping[str, Sequence[Mapping[str, float]]],
    model: str,
    base: str,
) -> ModelScore:
    # A draw may hold no video that a dimension does not leave out: it says nothing of that dimension.
    def interval(name: str) -> Interval:
        return interval_of(scores[model][name], [s[name] for s in samples[model] if name in s])

    def difference(name: str) -> Interval:
        pairs = zip(samples[model], samples[base], strict=True)
        both = [a[name] - b[name] for a, b in pairs if name in a and name in b]
        return interval_of(scores[model][name] - scores[base][name], both)

    own = scores[model]
    return ModelScore(
        total=interval(TOTAL) if TOTAL in own else None,
        parts={part: interval(part) for part in table.scale.parts if part in own},
        dimensions={d.name: interval(d.name) for d in table.scale.dimensions if d.name in own},
        raw=table.means(),
        differences={} if model == base else {name: difference(name) for name in own if name in scores[base]},
    )


def interval_of(value: float, drawn: Sequence[float]) -> Interval:
    """A value with the 95 % percentile interval of what was drawn."""
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, float(low), float(high))
