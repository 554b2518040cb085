"""Exact order statistics of a column of any length: the k-th smallest value, found in memory that does not grow."""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

_DIGITS = 4  # passes; each finds 16 of a number's 64 bits
_BITS = 64 // _DIGITS
_SIGN = np.uint64(1 << 63)

Chunks = Iterable[Mapping[str, NDArray[np.float64]]]


def percentiles(
    read: Callable[[], Chunks], wanted: Mapping[str, tuple[str, float, bool]]
) -> dict[str, float | None]:
    """Percentiles that are values of the column itself, not between two of them; None for an empty column.

    The column is read four times: each pass counts, among the values whose leading bits are those of the answer,
    the next 16 bits.

    Args:
        read: the chunks of the columns, from the start, at each call; without NaN.
        wanted: by any name, the column, the percentile (0 to 100), and whether to take the lower or the higher of
            the two values that it lies between.
    """
    columns = {column for column, _, _ in wanted.values()}
    sizes = dict.fromkeys(columns, 0)
    for chunk in read():
        for column in columns:
            sizes[column] += len(chunk[column])
    found: dict[str, float | None] = {name: None for name, (c, _, _) in wanted.items() if not sizes[c]}
    ranks = {}
    for name, (column, percent, lower) in wanted.items():
        if sizes[column]:
            exact = (sizes[column] - 1) * percent / 100
            # The tolerance undoes the rounding of shares such as 10 %.
            ranks[name] = int(np.floor(exact + 1e-9) if lower else np.ceil(exact - 1e-9))
    prefixes = dict.fromkeys(ranks, 0)
    for digit in range(_DIGITS):
        counts = {name: np.zeros(1 << _BITS, np.int64) for name in ranks}
        for chunk in read():
            bits = {column: _sortable(chunk[column]) for column in columns}
            for name, count in counts.items():
                values = bits[wanted[name][0]]
                if digit:
                    leading = values >> np.uint64(64 - digit * _BITS)
                    values = values[leading == np.uint64(prefixes[name])]
                here = (values >> np.uint64(64 - (digit + 1) * _BITS)) & np.uint64((1 << _BITS) - 1)
                count += np.bincount(here.astype(np.int64), minlength=1 << _BITS)
        for name, count in counts.items():
            below = np.cumsum(count)
            place = int(np.searchsorted(below, ranks[name], side="right"))
            ranks[name] -= int(below[place - 1]) if place else 0
            prefixes[name] = prefixes[name] << _BITS | place
    return found | {name: _value(prefix) for name, prefix in prefixes.items()}


def _sortable(values: NDArray[np.float64]) -> NDArray[np.uint64]:
    """Whole numbers in the order of ``values``."""
    bits = (values + 0.0).view(np.uint64)  # -0.0 becomes 0.0
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


def _value(bits: int) -> float:
    whole = np.uint64(bits)
    original = whole ^ _SIGN if whole & _SIGN else ~whole
    return float(np.array([original], np.uint64).view(np.float64)[0])
