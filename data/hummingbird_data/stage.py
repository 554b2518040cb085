"""What a stage of the pipelines is, and how Ray Data runs one.

A stage turns a row into rows and says which columns it reads and writes and what it needs to run. Its errors
stay with the row: the row goes on with `error` and `error_stage` set, no later stage touches it, and its
source file ends in quarantine. An error is never a rejection.
"""

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import cv2
from hummingbird.core.resources import placement
from hummingbird.core.shared_folder import NotSharedError

from hummingbird_data.runtime.metrics import count, decoding
from hummingbird_data.runtime.progress import SECONDS

if TYPE_CHECKING:
    from ray.data import Dataset

Row = dict[str, Any]
T = TypeVar("T")


class StageError(Exception):
    """What went wrong with one row, in words for the quarantine table; ``stage`` names the step."""

    def __init__(self, stage: str, message: str) -> None:
        super().__init__(message)
        self.stage = stage


class Stage(ABC):
    """One step, on one row at a time. A subclass is a small dataclass: its fields are its settings.

    ``actors`` is the size of the pool of actors that keep the stage's model loaded; 0 runs it as tasks, whose
    processes keep it as well: what a process has set up, it uses for all tasks of a run.
    """

    name: ClassVar[str]
    inputs: ClassVar[tuple[str, ...]]
    outputs: ClassVar[tuple[str, ...]]
    cpus: float = 1.0
    gpus: float = 0.0
    actors: int = 0
    batch_rows: int = 1

    def setup(self) -> None:  # noqa: B027 (most stages have nothing to load)
        """Loads what the stage needs, once in each process. A failure here ends the job."""

    @abstractmethod
    def process(self, row: Row) -> Iterable[Row]:
        """The rows that a row becomes: exactly the columns ``outputs`` of each; the rest is carried over."""

    def process_batch(self, rows: Sequence[Row]) -> list[list[Row]]:
        """`process` for several rows at once, for models that gain from it."""
        return [list(self.process(row)) for row in rows]


class StageRunner:
    """Runs a stage inside Ray Data: checks its columns and keeps its errors with their rows."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        cv2.setNumThreads(1)  # the cluster's cores are shared out by Ray
        stage.setup()

    def __call__(self, row: Row) -> list[Row]:
        return self.run([row])

    def run(self, rows: Sequence[Row]) -> list[Row]:
        """The rows that ``rows`` become, in order. Rows that carry an error pass through."""
        waiting = [row for row in rows if not row.get("error")]
        done = iter(self._attempt(waiting))
        return [made for row in rows for made in ([self._failed(row)] if row.get("error") else next(done))]

    def timed(self, rows: Sequence[Row]) -> list[Row]:
        """`run`, counted for the dashboard, and with the time that it took in the column ``seconds_STAGE``, a share
        for each row made. The column ``seconds_decoding`` adds up what of all stages' time went to decoding."""
        start, before = time.perf_counter(), decoding.seconds
        made = self.run(rows)
        seconds, name = time.perf_counter() - start, self.stage.name
        count("hummingbird_stage_clips", len(made), {"stage": name})
        count("hummingbird_stage_seconds", seconds, {"stage": name})
        share = (decoding.seconds - before) / max(1, len(made))
        return [
            {
                **row,
                f"{SECONDS}{name}": seconds / len(made),
                f"{SECONDS}decoding": (row.get(f"{SECONDS}decoding") or 0.0) + share,
            }
            for row in made
        ]

    def _attempt(self, rows: list[Row]) -> list[list[Row]]:
        if not rows:
            return []
        try:
            inputs = [{key: row[key] for key in self.stage.inputs} for row in rows]
            results = self.stage.process_batch(inputs)
        except NotSharedError:
            raise  # of no row: the node is not fit for any
        except StageError as error:
            if len(rows) == 1:
                return [[self._failed(rows[0], error.stage, str(error))]]
        except Exception as error:
            if len(rows) == 1:
                return [[self._failed(rows[0], self.stage.name, f"{type(error).__name__}: {error}")]]
        else:
            return [
                [{**row, **self._checked(made)} for made in result]
                for row, result in zip(rows, results, strict=True)
            ]
        # One bad row must not take its neighbors with it.
        return [result for row in rows for result in self._attempt([row])]

    def _checked(self, made: Row) -> Row:
        if set(made) != set(self.stage.outputs):
            raise TypeError(f"stage {self.stage.name} declares {self.stage.outputs} but made {tuple(made)}")
        return made

    def _failed(self, row: Row, stage: str | None = None, message: str | None = None) -> Row:
        missing = {key: None for key in self.stage.outputs if key not in row}
        if message is None:
            return {**row, **missing}
        count("hummingbird_stage_errors", 1, {"stage": str(stage)})
        return {**row, **missing, "error_stage": stage, "error": message}


class _BatchRunner(StageRunner):
    def __call__(self, batch: Any) -> Any:
        return _table(self.timed(batch.to_pylist()))


def _table(rows: Sequence[Row]) -> Any:
    import pyarrow as pa

    # Arrow takes the columns from the first row alone, which may have no error where another has.
    names = dict.fromkeys(name for row in rows for name in row)
    return pa.Table.from_pylist([{name: row.get(name) for name in names} for row in rows])


def add_stages(dataset: "Dataset", stages: Sequence[Stage]) -> "Dataset":
    """The dataset with ``stages`` after it, one after the other: as tasks, or in pools of actors for those that ask.

    Of stages that follow each other as tasks, a row takes all in one process before the next row comes: what one has
    decoded, the others see.
    """
    from ray.data import ActorPoolStrategy

    for kind, group in groupby(stages, _kind):
        chain = list(group)
        first = chain[0]
        resources: dict[str, Any] = {"num_cpus": first.cpus, "num_gpus": first.gpus, **placement(first.gpus)}
        if kind == "rows":
            dataset = dataset.flat_map(_named(_Rows, chain)(chain), **resources)
            continue
        resources |= {"batch_size": first.batch_rows, "batch_format": "pyarrow"}
        if not first.actors:
            dataset = dataset.map_batches(_named(_Batches, chain)(chain), **resources)
        else:
            pool = ActorPoolStrategy(min_size=1, max_size=first.actors)  # it begins with what there is
            dataset = dataset.map_batches(
                _named(_BatchRunner, chain), compute=pool, fn_constructor_args=(first,), **resources
            )
    return dataset


def _named(kind: type[T], stages: Sequence[Stage]) -> type[T]:
    """The class by the names of its stages, which is what Ray's dashboard, metrics and process list call the work."""
    return type("+".join(stage.name for stage in stages), (kind,), {})


def _kind(stage: Stage) -> str:
    """What runs a stage; stages of the kind ``rows`` go together."""
    if stage.actors:
        return f"actors of {stage.name}"
    return "rows" if stage.batch_rows == 1 and not stage.gpus else f"batches of {stage.name}"


class _Rows:
    """Stages as Ray tasks, a row at a time."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self.stages = stages

    def __call__(self, row: Row) -> list[Row]:
        return list(run_plain([row], self.stages))


class _Batches(_Rows):
    """A stage as Ray tasks, a batch of rows at a time."""

    def __call__(self, batch: Any) -> Any:
        (stage,) = self.stages
        return _table(_runner(stage).timed(batch.to_pylist()))


def run_plain(rows: Iterable[Row], stages: Sequence[Stage]) -> Iterator[Row]:
    """The rows that ``rows`` become after all stages, one batch of the last stage at a time, in this process."""
    for stage in stages[:-1]:
        rows = run_plain(rows, [stage])
    if not stages:
        yield from rows
        return
    runner = _runner(stages[-1])
    waiting = iter(rows)
    while batch := list(islice(waiting, stages[-1].batch_rows)):
        yield from runner.timed(batch)


_runners: dict[str, StageRunner] = {}


def _runner(stage: Stage) -> StageRunner:
    """One runner a process, a stage and its settings, which its text holds: models are loaded once."""
    key = repr(stage)
    if key not in _runners:
        _runners[key] = StageRunner(stage)
    return _runners[key]


def quiet_ray_data() -> None:
    """Turns Ray Data's own progress bars off: a verb shows one of its own, with counts. Errors of stages come as they
    are."""
    from ray.data import DataContext

    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.raise_original_map_exception = True  # a sentence for the user stays one
    logging.getLogger("ray.data").setLevel(logging.WARNING)
