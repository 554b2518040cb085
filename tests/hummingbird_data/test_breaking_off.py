"""A pipeline of Ray Data that nobody waits for ends, and the next one is as any other."""

import threading
import time
from typing import Any

import pytest

pytestmark = [
    pytest.mark.usefixtures("ray_cluster"),
    # The thread's SystemExit, which Python itself passes over.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]


def _slow(row: dict[str, Any]) -> dict[str, Any]:
    time.sleep(120 if row["item"] else 0)
    return row


def test_rows_end_at_once_though_a_task_goes_on() -> None:
    import ray.data
    from hummingbird_data.breaking_off import broken_off_by

    left, began = threading.Event(), time.monotonic()
    threading.Timer(5, left.set).start()
    with broken_off_by(left):
        rows = list(ray.data.from_items([0, 1], override_num_blocks=2).map(_slow).iter_rows())
    assert rows in ([], [{"item": 0}])
    assert time.monotonic() - began < 60
    rows = ray.data.from_items([0, 0], override_num_blocks=2).map(_slow).take_all()
    assert [row["item"] for row in rows] == [0, 0]
