"""Percentiles of columns that are never in memory at once are those of NumPy."""

from collections.abc import Iterator

import numpy as np
import pytest
from hummingbird_data.verdicts.order_statistics import percentiles


def chunks(values: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
    for part in np.array_split(values, 7):
        yield {"score": part}


@pytest.mark.parametrize("percent", [0, 0.5, 10, 33.3, 50, 90, 99])
@pytest.mark.parametrize("count", [1, 2, 101, 5000])
def test_they_are_numpys(percent: float, count: int) -> None:
    values = np.random.default_rng(count).normal(0, 3, count).round(2)
    values[: count // 10] = -0.0
    found = percentiles(
        lambda: chunks(values), {"low": ("score", percent, True), "high": ("score", percent, False)}
    )
    assert found["low"] == np.percentile(values, percent, method="lower")
    assert found["high"] == np.percentile(values, percent, method="higher")


def test_values_that_differ_in_their_last_bits_are_told_apart() -> None:
    values = np.nextafter(np.full(9, 0.1), np.inf) - np.arange(9) * 2**-56
    middle = percentiles(lambda: chunks(values), {"m": ("score", 50, True)})["m"]
    assert middle == np.sort(values)[4]


def test_infinities_and_empty_columns() -> None:
    values = np.array([-np.inf, 1.0, np.inf])
    assert percentiles(lambda: chunks(values), {"m": ("score", 0, True)}) == {"m": -np.inf}
    assert percentiles(lambda: chunks(values[:0]), {"m": ("score", 50, True)}) == {"m": None}
