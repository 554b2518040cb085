"""Verdicts: from scores to kept or dropped, with reasons."""

from collections.abc import Sequence

from hummingbird.lake.schemas import REASONS

from hummingbird_data.filters.base import Filter, Limits
from hummingbird_data.stage import Row


def score_reasons(row: Row, filters: Sequence[Filter], limits: Limits) -> list[str]:
    """Why the clip's scores drop it, in the order of the lake's list, then of ``filters``; empty: they do not.

    Args:
        limits: the filters' thresholds, and ``min_seconds``.
    """
    seconds = row["end_seconds"] - row["start_seconds"]
    # Half a frame of tolerance: time stamps are rounded.
    too_short = seconds < limits["min_seconds"] - 0.5 / row["fps"]
    reasons = dict.fromkeys(one.reason for one in filters if one.drops(row, limits))
    return sorted([*reasons, *(["too_short"] if too_short else [])], key=_place)


def with_verdict(row: Row, reasons: list[str]) -> Row:
    """The row with its verdict: kept where there is no reason to drop it."""
    return {**row, "verdict": "dropped" if reasons else "kept", "reasons": reasons}


def _place(reason: str) -> int:
    return REASONS.index(reason) if reason in REASONS else len(REASONS)
