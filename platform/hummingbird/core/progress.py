"""Progress: a bar in a terminal; elsewhere (a job's log) a line every few seconds."""

import os
import sys
import threading
from typing import Any

from tqdm import tqdm

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
        self._closed = threading.Event()
        if self._lines:
            # Nothing is drawn by updates: the mean rate since the start is shown, from a thread of its own.
            kwargs |= {"mininterval": float("inf"), "delay": 1e-9, "dynamic_ncols": False, "ncols": None}
        super().__init__(*args, **kwargs)
        if self._lines:
            self.bar_format = _LINE if self.total else _OPEN_LINE
            seconds = float(os.environ.get(SECONDS, "5"))
            self._thread = threading.Thread(target=self._tell, args=(seconds,), daemon=True, name="progress")
            self._thread.start()

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Draws the bar; lines come by themselves."""
        if not self._lines:
            super().display(msg, pos)

    def close(self) -> None:
        """Ends it, with a last line."""
        if self._lines and not self._closed.is_set():
            self._closed.set()
            self._thread.join()
            self._write_line()
            self.leave = False
        super().close()

    def _tell(self, seconds: float) -> None:
        while not self._closed.wait(seconds):
            self._write_line()

    def _write_line(self) -> None:
        values = self.format_dict
        fields = {
            "done": values["n"],
            "total": values["total"],
            "unit": values["unit"],
            "step": values["prefix"],
        }
        emit_fields(str(self), {**fields, "detail": values["postfix"]})
