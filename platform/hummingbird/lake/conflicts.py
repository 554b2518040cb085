"""What several writers need who commit at once: Iceberg refuses a commit whose table has changed, and it is made again.

An SQLite catalog has a lock besides, which spares its writers the repetition.
"""

import random
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from pyiceberg.exceptions import CommitFailedException, ValidationException
from pyiceberg.table import Table

from hummingbird.core.errors import InputError

CONFLICTS = (CommitFailedException, ValidationException)
"""Raised where another has committed first; nothing of one's own is in the table then."""

_ATTEMPTS = 60
_LONGEST_WAIT = 2.0  # seconds

T = TypeVar("T")


def attempts() -> Iterator[int]:
    """Numbers of attempts, with a growing pause of random length between them.

    Raises:
        InputError: too many; others commit all the time.
    """
    for number in range(_ATTEMPTS):
        yield number
        time.sleep(random.uniform(0, min(_LONGEST_WAIT, 0.05 * 2**number)))
    raise InputError(
        f"{_ATTEMPTS} commits to the lake were overtaken by those of others; run again when less goes on, or with "
        "larger batches"
    )


def until_committed(commit: Callable[[], T]) -> T:
    """What ``commit`` returns, called again as long as others come first. It must load its table anew each time."""
    for _ in attempts():
        try:
            return commit()
        except CONFLICTS:
            continue
    raise AssertionError("attempts() ends with an error")


def unchanged_since_loaded(table: Table) -> Table:
    """The table, whose commits fail where it has changed since it was loaded. (pyiceberg would make them again by
    itself, after what the other one has written.)"""
    properties = {**table.metadata.properties, "commit.retry.num-retries": "0"}
    table.metadata = table.metadata.model_copy(update={"properties": properties})
    return table
