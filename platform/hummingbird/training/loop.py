"""The training loop: what one worker does, whatever the method and whatever applies the gradients."""

import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import torch
import torch.distributed as dist
from torch import Tensor

from hummingbird.config.lora import LoRASettings
from hummingbird.config.training import TrainingSettings
from hummingbird.core.errors import InputError
from hummingbird.core.metrics import gauge
from hummingbird.core.precision import resolve_precision
from hummingbird.training.checkpoint import TrainingState
from hummingbird.training.data import DataSource, Worker
from hummingbird.training.engine import Pace
from hummingbird.training.event import Event
from hummingbird.training.latent_cache import Batch
from hummingbird.training.log import LOSSES, LossFile, StepLog
from hummingbird.training.methods.base import STUDENT, Method, TrainingStep
from hummingbird.training.watching.samples import SampleSource, SampleWatch
from hummingbird.training.watching.speed import Speedometer, samples_of
from hummingbird.training.watching.trackers import Tracker, close_all, open_trackers

EVENTS = "events.jsonl"
LOG_SECONDS = 2.0
"""Time after which steps are logged, however few."""


class TrainingStopped(InputError):
    """What watches a run saw that it does harm; the last checkpoint before stays."""


@dataclass(frozen=True)
class TrainingJob:
    """A training run, as it is sent to every worker.

    Attributes:
        name: shown beside the progress.
        build: makes the method, with its networks, on a device; called once in every worker, so it must be a function
            that workers can import.
        data: where batches come from; opened once in every worker, so it must travel as ``build`` does.
        folder: the run's; checkpoints, ``losses.jsonl`` and the trained ``unet`` go there. On a cluster every
            node must see it.
        steps: optimizer steps.
        minutes: limit of the training time; none: all steps.
        learning_rate: peak, of networks that have none of their own.
        seed: of noise and timesteps; every rank and step draws from its own.
        training: settings shared by all methods.
        lora: adapters of the student, in place of all its weights.
        samples: where videos of the student come from while it trains.
    """

    name: str
    build: Callable[[torch.device], Method]
    data: DataSource
    folder: Path
    steps: int
    minutes: float | None
    learning_rate: float
    seed: int
    training: TrainingSettings
    lora: LoRASettings = field(default_factory=LoRASettings)
    samples: SampleSource | None = None


def run_loop(
    job: TrainingJob, state: TrainingState, worker: Worker, pace: Pace, save: Callable[[int], None]
) -> None:
    """Trains from where ``pace`` stands to the last step, or until the time is up.

    Nothing waits for the device but the log, every ``training.log_every`` steps.

    Args:
        state, pace: updated.
        save: called with the number of steps done when a checkpoint is due, and at the end.

    Raises:
        FloatingPointError: a loss was not finite, in one of the steps since the last were logged.
        TrainingStopped: what watches the run saw that it does harm.
    """
    generator = torch.Generator(worker.device)
    host_generator = generator if worker.device.type == "cpu" else torch.Generator()
    averages = {name: average.module for name, average in state.averages.items()}
    first, saved, kept = pace.step, pace.seconds, pace.step
    with ExitStack() as stack:
        read = stack.enter_context(job.data(worker))
        file = None
        if worker.rank == 0:
            file = stack.enter_context(LossFile(job.folder / LOSSES, pace.step))
        log = StepLog(file)
        watch = stack.enter_context(Watch(job, state, worker, pace))
        if pace.step == 0 and pace.done < 1:
            watch.look(pace, kept)
        mark = time.perf_counter()
        while pace.done < 1:
            # Seeded by step, so that a resumed run draws what an unbroken one would; also for dropout.
            seed = step_seed(job.seed, worker.rank, pace.step)
            # Not `torch.manual_seed`, which spends a tenth of a millisecond on devices that are not there.
            for one in {generator, host_generator, torch.default_generator}:
                one.manual_seed(seed)
            if worker.device.type == "cuda":
                torch.cuda.manual_seed(seed)
            count = job.training.gradient_accumulation
            steps = [
                TrainingStep(
                    state.engines,
                    averages,
                    read(pace.step * count + batch),
                    generator,
                    host_generator,
                    number=pace.step,
                    progress=pace.done,
                )
                for batch in range(count)
            ]
            rate = state.engines[STUDENT].get_lr()[0]
            pace.advance()
            with watch.counted(steps[0].batch, count):
                terms = _update(state, steps, worker, job.training)
            log.add(pace.step, rate, terms)
            due = _checkpoint_due(job.training, pace, saved) or pace.done >= 1
            look = watch.due(pace)
            if due or look or _log_due(job.training, pace, first):
                if worker.device.type == "cuda":
                    torch.cuda.synchronize(worker.device)
                now = time.perf_counter()
                lines = log.reduce(now - mark, pace, kept)
                watch.show(lines)
                tell(job.folder, worker, pace.step, kept, state.method.read(lines))
                if look:
                    watch.look(pace, kept)
                mark = time.perf_counter()
            if due:
                save(pace.step)
                saved, kept = pace.seconds, pace.step


class Watch:
    """What is shown of a run while it trains, by its first worker; what it sees all workers hear."""

    def __init__(self, job: TrainingJob, state: TrainingState, worker: Worker, pace: Pace) -> None:
        self._job, self._state, self._worker = job, state, worker
        self._every, self._start = job.training.watching.sample_every, pace.step
        self._trackers: list[Tracker] = []
        self._samples: SampleWatch | None = None
        self._speed: Speedometer | None = None
        if worker.rank == 0:
            self._trackers = open_trackers(job.training.watching, job.folder, job.name, pace.step)

    def due(self, pace: Pace) -> bool:
        """Whether videos are made after the steps so far; none in a run that is shorter than the steps between them."""
        every = self._every
        return (
            self._job.samples is not None
            and every is not None
            and self._job.steps >= every
            and pace.step % every == 0
        )

    def look(self, pace: Pace, kept: int) -> None:
        """Makes videos, if they are due; all workers wait for them.

        Raises:
            TrainingStopped: they have collapsed.
        """
        if not self.due(pace) or self._job.samples is None:
            return
        events: list[list[Event]] = [[]]
        if self._worker.rank == 0:
            if self._samples is None:
                self._samples = self._job.samples.open(self._job.folder, self._worker.device)
            network = self._state.averages[STUDENT].module
            events = [self._samples.look(pace.step, pace.done, network, self._trackers)]
        if self._worker.world > 1:
            dist.broadcast_object_list(events, src=0)
        tell(self._job.folder, self._worker, pace.step, kept, events[0])

    @contextmanager
    def counted(self, batch: Batch, batches: int) -> Iterator[None]:
        """Around a step: the first one's operations are counted."""
        counter = None
        if self._trackers:
            if self._speed is None:
                samples = samples_of(batch) * batches
                self._speed = Speedometer(self._job.folder, self._worker.device, samples, self._start)
            counter = self._speed.counter()
        with counter or nullcontext():
            yield
        if counter is not None and self._speed is not None:
            self._speed.count(counter)

    def show(self, lines: Sequence[dict[str, float]]) -> None:
        """Lines of the log, and how fast the run is."""
        for line in lines:
            values = {name: value for name, value in line.items() if name != "step"}
            if self._speed is not None:
                figures = self._speed.figures(line["seconds"], self._worker.world)
                for name, value in figures.items():
                    gauge(f"hummingbird_training_{name}", value)
                values |= {f"speed/{name}": value for name, value in figures.items()}
            for tracker in self._trackers:
                tracker.scalars(int(line["step"]), values)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        close_all(self._trackers)


def tell(folder: Path, worker: Worker, step: int, kept: int, events: Sequence[Event]) -> None:
    """Writes events, which all workers saw, to ``events.jsonl`` and the error output.

    Raises:
        TrainingStopped: one of them is to stop the run.
    """
    if events and worker.rank == 0:
        with (folder / EVENTS).open("a", encoding="utf-8") as file:
            for event in events:
                file.write(json.dumps({"step": step, "event": event.text}) + "\n")
                print(f"step {step}: {event.text}", file=sys.stderr)
    for event in events:
        if event.stops:
            stays = f"the checkpoint of step {kept} stays" if kept else "there was no checkpoint yet"
            raise TrainingStopped(f"step {step}: {event.text}; the run stops, {stays}")


def step_seed(seed: int, rank: int, step: int) -> int:
    """A seed of its own for every worker and step, the same in every process."""
    digest = hashlib.sha256(f"{seed} {rank} {step}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def mixed_precision(device: torch.device, precision: str) -> torch.autocast:
    """The context of a step's forward passes; weights and gradients stay float32."""
    enabled = resolve_precision(device, precision) == "bf16"
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled)


def _update(
    state: TrainingState, steps: Sequence[TrainingStep], worker: Worker, settings: TrainingSettings
) -> dict[str, Tensor]:
    """One step's updates, each over all its batches; what is logged of them, names of other networks' terms beginning
    with the network's."""
    logged: dict[str, Tensor] = {}
    for name in state.method.updates(steps[0].number):
        engine = state.engines[name]
        sums: dict[str, Tensor] = {}
        for step in steps:
            with mixed_precision(worker.device, settings.mixed_precision):
                losses = state.method.losses(name, step)
            engine.backward(losses.total)
            engine.step()
            for term, value in {"total": losses.total.detach(), **losses.terms}.items():
                sums[term] = sums[term] + value if term in sums else value
        if name in state.averages:
            state.averages[name].update(engine.module)
        norm = engine.get_global_grad_norm()
        norm = torch.as_tensor(0.0 if norm is None else norm, device=worker.device)
        terms = {term: value / len(steps) for term, value in sums.items()} | {"gradient_norm": norm}
        prefix = "" if name == STUDENT else f"{name}/"
        logged |= {f"{prefix}{term}": value for term, value in terms.items()}
    return logged


def _log_due(settings: TrainingSettings, pace: Pace, first: int) -> bool:
    """By what all workers agree on. The first two steps, whose times tell how long steps are, at once."""
    return (
        pace.since_reading >= settings.log_every
        or pace.since_reading * pace.seconds_per_step >= LOG_SECONDS
        or pace.step <= first + 2
    )


def _checkpoint_due(settings: TrainingSettings, pace: Pace, saved: float) -> bool:
    every, minutes = settings.checkpoint_every, settings.checkpoint_minutes
    by_steps = every is not None and pace.step % every == 0
    return by_steps or (minutes is not None and pace.seconds - saved >= 60 * minutes)
