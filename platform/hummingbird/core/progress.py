"""Progress: a bar in a terminal; elsewhere (a job's log) a line every few seconds."""

import os
import sys
from contextlib import ExitStack
from typing import Any

from tqdm import tqdm

from hummingbird.core.background import every
from hummingbird.core.logs import emit_fields

SECONDS = "HUMMINGBIRD_PROGRESS_SECONDS"
"""Environment variable: seconds from one line to the next (5) where there is no terminal."""

_LINE = "{desc}: {n_fmt}/{total_fmt} {unit} ({percentage:.0f} %), {rate_fmt}, {remaining} left{postfix}"
_OPEN_LINE = "{desc}: {n_fmt} {unit}, {rate_fmt}{postfix}"


class ProgressBar(tqdm):
    """tqdm's bar. Where standard error is no terminal: lines with counts, rate, time left and whatever is set as its
    postfix, whether or not something happens meanwhile, and one at the end."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._lines = not kwargs.get("disable") and not sys.stderr.isatty()
        self._telling, self._closed = ExitStack(), False
        if self._lines:
            # Nothing is drawn by updates: the mean rate since the start is shown, from a thread of its own.
            kwargs |= {"mininterval": float("inf"), "delay": 1e-9, "dynamic_ncols": False, "ncols": None}
        super().__init__(*args, **kwargs)
        if self._lines:
            self.bar_format = _LINE if self.total else _OPEN_LINE
            self._telling.enter_context(
                every(float(os.environ.get(SECONDS, "5")), self._write_line, "progress")
            )

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Draws the bar; lines come by themselves."""
        if not self._lines:
            super().display(msg, pos)

    def close(self) -> None:
        """Ends it, with a last line."""
        if self._lines and not self._closed:
            self._closed = True
            self._telling.close()
            self._write_line()
            self.leave = False
        super().close()

    def _write_line(self) -> None:
        values = self.format_dict
        fields = {
            "done": values["n"],
            "total": values["total"],
            "unit": values["unit"],
            "step": values["prefix"],
        }
        emit_fields(str(self), {**fields, "detail": values["postfix"]})
