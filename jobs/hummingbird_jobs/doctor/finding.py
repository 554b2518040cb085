"""A finding of the doctor: one line of what it prints."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from hummingbird.config.settings import Settings

State = Literal["ok", "note", "missing"]


@dataclass(frozen=True)
class Finding:
    """What was looked at, how it is, and where something is missing what to do."""

    state: State
    what: str
    detail: str

    def __str__(self) -> str:
        return f"{self.state:8}{self.what}: {self.detail}"


Check = Callable[[Settings], Iterator[Finding]]
