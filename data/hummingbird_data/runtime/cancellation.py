"""Ends a pipeline of Ray Data at once where nobody waits for its rows any more."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from typing import ClassVar

from ray.data import DataContext
from ray.data._internal.execution.execution_callback import ExecutionCallback
from ray.data._internal.execution.streaming_executor import StreamingExecutor


class CancelCallback(ExecutionCallback):
    """Called by Ray Data all along, in the thread that runs a pipeline. Ray makes it itself, without arguments."""

    events: ClassVar[list[Event]] = []

    def on_execution_step(self, executor: StreamingExecutor) -> None:
        if any(event.is_set() for event in tuple(self.events)):
            raise SystemExit  # the thread's end and that of the rows; an error would be logged at length


@contextmanager
def cancelled_by(cancelled: Event) -> Iterator[None]:
    """Pipelines that run meanwhile give no more rows once ``cancelled`` is set, whatever their tasks are at."""
    DataContext.get_current().custom_execution_callback_classes = [CancelCallback]
    CancelCallback.events.append(cancelled)
    try:
        yield
    finally:
        CancelCallback.events.remove(cancelled)
