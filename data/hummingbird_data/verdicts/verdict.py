"""Verdicts: from scores to kept or dropped, with reasons from the lake's fixed list."""

from dataclasses import dataclass

from hummingbird_data.stage import Row

_WHOLE = 0.85  # share of a clip; the last picture's own time is in no stretch between two pictures


@dataclass(frozen=True)
class Thresholds:
    """See the settings of curation; they can be applied again without scoring again."""

    min_seconds: float
    min_technical: float
    min_weightless: float
    min_motion: float
    max_freeze: float
    max_zoom: float
    max_flicker: float
    max_text: float


def score_reasons(row: Row, limits: Thresholds) -> list[str]:
    """Why the clip's scores drop it, in the order of the lake's list; empty: they do not.

    A static clip is not also called frozen, and one that is frozen nearly all the time is static.
    """
    seconds = row["end_seconds"] - row["start_seconds"]
    # Half a frame of tolerance: time stamps are rounded.
    too_short = seconds < limits.min_seconds - 0.5 / row["fps"]
    frozen = row["freeze_score"] >= limits.max_freeze
    static = row["motion_score"] < limits.min_motion or (frozen and row["freeze_score"] >= _WHOLE * seconds)
    found = {
        "technical_quality": _technically_poor(row, limits),
        "static": static,
        "freeze": frozen and not static,
        "flicker": row["flicker_score"] > limits.max_flicker,
        "zoom": row["zoom_score"] > limits.max_zoom,
        "text": row["text_share"] > limits.max_text,
        "too_short": too_short,
    }
    return [reason for reason, applies in found.items() if applies]


def _technically_poor(row: Row, limits: Thresholds) -> bool:
    if row["technical_by"] == "weightless":
        return bool(row["quality_weightless"] < limits.min_weightless)
    return bool(row["quality_technical"] < limits.min_technical)


def with_verdict(row: Row, reasons: list[str]) -> Row:
    """The row with its verdict: kept where there is no reason to drop it."""
    return {**row, "verdict": "dropped" if reasons else "kept", "reasons": reasons}
