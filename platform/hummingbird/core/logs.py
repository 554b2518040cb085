"""The logs of a verb: lines for people, or one JSON object a line for what collects logs, with the id of the run.

``HUMMINGBIRD_LOG_FORMAT=json`` chooses the second. Both go to standard error.
"""

import json
import logging
import os
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from hummingbird.core.masking import mask_text

FORMAT = "HUMMINGBIRD_LOG_FORMAT"
_OWN = ("hummingbird", "hummingbird_data", "hummingbird_jobs", "hummingbird_serve")
_run_ids: list[str] = []  # of runs that are open, the innermost last: a line's verbs run within it

# What users of ours can do nothing about, by the beginnings of messages.
_POINTLESS = (
    "Delete operation did not match any records",
    "Tip: In future versions of Ray",
    "The given NumPy array is not writable",
    "`torch.jit.script` is deprecated",
)
_POINTLESS_LOGGERS = (
    "pyiceberg.io", "pyiceberg.table", "pyiceberg.avro", "ray.data", "httpx", "urllib3", "torchao", "DeepSpeed",
)  # fmt: skip


def configure_logs() -> None:
    """Sets the handler of this process up: our loggers from INFO on, in a terminal from WARNING on."""
    handler = _ToStandardError()
    handler.setFormatter(_Json() if _as_json() else _Plain())
    root = logging.getLogger()
    for old in [one for one in root.handlers if isinstance(one, _ToStandardError)]:
        root.removeHandler(old)
    root.addHandler(handler)
    for name in _OWN:
        logging.getLogger(name).setLevel(logging.WARNING if sys.stderr.isatty() else logging.INFO)
    for name in _POINTLESS_LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    for message in _POINTLESS:
        warnings.filterwarnings("ignore", message=message)


@contextmanager
def logged_as(run_id: str) -> Iterator[None]:
    """Lines that are logged meanwhile carry the id of the run."""
    _run_ids.append(run_id)
    try:
        yield
    finally:
        _run_ids.remove(run_id)


def emit_fields(text: str, fields: Mapping[str, Any]) -> None:
    """Writes a line of progress: the text for people, the fields as JSON."""
    if _as_json():
        text = json.dumps(
            {"time": _time(time.time()), "level": "INFO", "run": _run_id(), **fields}, default=str
        )
    print(text, file=sys.stderr, flush=True)


class _ToStandardError(logging.Handler):
    """Writes to what standard error is then."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr, flush=True)


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _time(record.created),
            "level": record.levelname,
            "run": _run_id(),
            "logger": record.name,
            "message": mask_text(record.getMessage()),
        }
        if record.exc_info:
            line["error"] = mask_text(self.formatException(record.exc_info))
        return json.dumps(line, default=str)


class _Plain(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        run = f" [{_run_id()}]" if _run_id() else ""
        line = f"{_time(record.created)} {record.levelname.lower()}{run} {mask_text(record.getMessage())}"
        return f"{line}\n{mask_text(self.formatException(record.exc_info))}" if record.exc_info else line


def _as_json() -> bool:
    return os.environ.get(FORMAT) == "json"


def _run_id() -> str | None:
    return _run_ids[-1] if _run_ids else None


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
