"""What is to be said of a run while it trains."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Event:
    """``text``, and whether the run ``stops`` for it."""

    text: str
    stops: bool
