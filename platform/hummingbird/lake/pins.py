"""What readers of the lake see: the snapshots that the newest row of the ledger names."""

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow.compute as pc
from pyiceberg.expressions import BooleanExpression, EqualTo
from pyiceberg.table import Table

from hummingbird.lake.schemas import TableName

_PINS = "hummingbird.pins"


@dataclass(frozen=True)
class Pins:
    """What the newest ledger row says is visible: a snapshot of each of the two tables of data."""

    sequence: int
    clips: int
    quarantine: int


def pins_of(runs: Table, table: Callable[[TableName], Table]) -> Pins:
    """What a state of the table ``runs`` says is visible; before the first batch: the empty tables.

    Args:
        runs: as it was loaded.
        table: loads another one.
    """
    newest = runs.current_snapshot()
    named = {} if newest is None or newest.summary is None else newest.summary.additional_properties
    if _PINS in named:
        return Pins(*map(int, named[_PINS].split()))
    # Not the last to write there was a committer (or one of before this property): read the ledger itself.
    rows = runs.scan(
        row_filter=equal_to("kind", "batch"),
        selected_fields=("sequence", "clips_snapshot", "quarantine_snapshot"),
    ).to_arrow()
    if rows.num_rows == 0:
        return Pins(0, *(table(name).history()[0].snapshot_id for name in ("clips", "quarantine")))
    last = rows.slice(pc.index(rows["sequence"], pc.max(rows["sequence"])).as_py(), 1).to_pylist()[0]
    return Pins(last["sequence"], last["clips_snapshot"], last["quarantine_snapshot"])


def pins_property(pins: Pins) -> dict[str, str]:
    """Every snapshot of ``runs`` carries the pins, so that finding them does not take reading the ledger."""
    return {_PINS: f"{pins.sequence} {pins.clips} {pins.quarantine}"}


def equal_to(column: str, value: object) -> BooleanExpression:
    """The filter ``column = value``."""
    return EqualTo(column, value)  # type: ignore[call-arg]  # pyiceberg's own constructor, not pydantic's
