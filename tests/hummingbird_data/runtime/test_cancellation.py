"""A pipeline of Ray Data that nobody waits for ends, and the next one is as any other."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = [
    pytest.mark.usefixtures("ray_cluster"),
    # The thread's SystemExit, which Python itself passes over.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]


def _wait(row: dict[str, Any]) -> dict[str, Any]:
    """Passes a row on when its file is there."""
    for _ in range(1200):
        if Path(row["item"]).exists():
            return row
        time.sleep(0.1)
    raise TimeoutError(row["item"])


def test_rows_end_at_once_though_a_task_goes_on(tmp_path: Path) -> None:
    import ray.data
    from hummingbird_data.runtime.cancellation import cancelled_by

    here, missing = str(tmp_path), str(tmp_path / "missing")
    cancelled = threading.Event()
    threading.Timer(5, cancelled.set).start()
    with cancelled_by(cancelled):
        rows = list(ray.data.from_items([here, missing], override_num_blocks=2).map(_wait).iter_rows())
    assert rows in ([], [{"item": here}])
    Path(missing).touch()  # the task that went on gives its core back
    rows = ray.data.from_items([here, here], override_num_blocks=2).map(_wait).take_all()
    assert [row["item"] for row in rows] == [here, here]
