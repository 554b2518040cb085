"""Ends a pipeline of Ray Data at once where nobody waits for its rows any more."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from typing import ClassVar

from ray.data import DataContext
from ray.data._internal.execution.execution_callback import ExecutionCallback
from ray.data._internal.execution.streaming_executor import StreamingExecutor


class BreakingOff(ExecutionCallback):
    """Called by Ray Data all along, in the thread that runs a pipeline. One for the process: Ray makes it itself."""

    left: ClassVar[Event] = Event()

    def on_execution_step(self, executor: StreamingExecutor) -> None:
        if self.left.is_set():
            raise SystemExit  # the thread's end and that of the rows; an error would be logged at length


@contextmanager
def broken_off_by(left: Event) -> Iterator[None]:
    """Pipelines that run meanwhile give no more rows once ``left`` is set, whatever their tasks are at."""
    BreakingOff.left = left
    context = DataContext.get_current()
    context.custom_execution_callback_classes = [BreakingOff]
    try:
        yield
    finally:
        BreakingOff.left = Event()
