"""Engines that are loaded once a run: actors that are kept over batches of sources and over further tries.

A large model takes minutes to load, and the pools of Ray Data end with each pipeline. So the actors here are no part of
one: they start with the first question and end with the run. Small models on CPUs need none (an engine's ``actors`` are
0): the processes of Ray that ask hold a copy, and are used again.
"""

import logging
from collections.abc import Iterator, Sequence
from typing import Any

from hummingbird.core.errors import InputError

from hummingbird_data.captions.engines import CaptionEngine
from hummingbird_data.stage import Row, StageRunner, add_stages

log = logging.getLogger(__name__)

_TRIES = 3  # further ones of questions whose actor has died


class EngineActors:
    """The actors of engines, from the first question to `close`."""

    def __init__(self) -> None:
        self._pools: dict[str, list[Any]] = {}

    def ask(self, engine: CaptionEngine, questions: Sequence[Row]) -> Iterator[Row]:
        """The questions with their answers, in any order.

        Raises:
            InputError: the model cannot be loaded where the actors run.
        """
        import ray.data
        from ray.exceptions import RayTaskError
        from ray.util import ActorPool

        chunks = [
            list(questions[at : at + engine.batch_rows]) for at in range(0, len(questions), engine.batch_rows)
        ]
        if not engine.actors:
            dataset = ray.data.from_items(list(questions), override_num_blocks=max(1, len(chunks)))
            yield from add_stages(dataset, [engine]).iter_rows()
            return
        pool = ActorPool(self._actors(engine))
        try:
            for rows in pool.map_unordered(lambda actor, chunk: actor.ask.remote(chunk), chunks):
                yield from rows
        except RayTaskError as error:
            if isinstance(error.cause, InputError):
                raise error.cause from None
            raise

    def close(self) -> None:
        """Ends all actors."""
        import ray

        for actors in self._pools.values():
            for actor in actors:
                ray.kill(actor)
        self._pools.clear()

    def _actors(self, engine: CaptionEngine) -> list[Any]:
        import ray

        key = repr(engine)
        if key not in self._pools:
            log.info("starting %d actors for %s", engine.actors, engine.identity.name)
            # No core is set aside for them: they would keep it from the stages that score, for as long as the run.
            options = {"num_cpus": 0, "num_gpus": engine.gpus, "resources": dict(engine.spec.resources)}
            options |= {"max_restarts": -1, "max_task_retries": _TRIES}
            actor = ray.remote(**options)(_EngineActor)
            self._pools[key] = [actor.remote(engine) for _ in range(engine.actors)]
        return self._pools[key]


class _EngineActor:
    """One engine, set up at its first question, so that what is wrong with it is an error of that question."""

    def __init__(self, engine: CaptionEngine) -> None:
        self._engine = engine
        self._runner: StageRunner | None = None

    def ask(self, rows: list[Row]) -> list[Row]:
        if self._runner is None:
            self._runner = StageRunner(self._engine)
        return self._runner.timed(rows)
