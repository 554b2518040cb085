"""Rows for the tests of the lake."""

import pyarrow as pa
import pytest
from hummingbird.config.settings import Settings
from hummingbird.lake.lake import Lake


def clip(source: str, start: float = 0.0, caption: str = "a", *reasons: str) -> dict[str, object]:
    """The required columns of one clip; with reasons it is dropped."""
    return {
        "clip_id": f"{source}@{start}",
        "source_uri": source,
        "start_seconds": start,
        "end_seconds": start + 1,
        "caption": caption,
        "verdict": "dropped" if reasons else "kept",
        "reasons": list(reasons),
    }


def clips(*rows: dict[str, object]) -> pa.Table:
    """A table of clips."""
    return pa.Table.from_pylist(list(rows))


def broken(*sources: str) -> pa.Table:
    """A table of quarantine."""
    return pa.Table.from_pylist([{"source_uri": s, "stage": "decode", "error": "moov atom"} for s in sources])


@pytest.fixture
def lake(settings: Settings) -> Lake:
    """A new lake."""
    return Lake.open(settings)
