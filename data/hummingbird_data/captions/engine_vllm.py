"""The engine ``vllm``: vLLM in an actor of the run, for nodes with the extra caption.

The actor asks for ``curate.model_gpus`` GPUs, and vLLM spreads the model over them where ``tensor_parallel_size`` in
the engine's arguments says so.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from hummingbird.core.errors import InputError

from hummingbird_data.captions.engines import AskStage, Engine, answered, build_prompt, failed, load_processor
from hummingbird_data.stage import Row


def check_installed() -> None:
    """Raises InputError where vLLM is not installed."""
    if find_spec("vllm") is None:
        raise InputError(
            "the engine vllm needs vLLM: install the extra 'caption', or set curate.caption_engine (or "
            "curate.rewrite_engine) to transformers or http"
        )


@dataclass
class VllmStage(AskStage):
    """All questions of a batch at once; vLLM takes as many of them together as fit its memory."""

    _llm: Any = field(default=None, init=False, repr=False)
    _processor: Any = field(default=None, init=False, repr=False)

    def setup(self) -> None:
        from vllm import LLM

        self._processor = load_processor(self.engine.model, self.engine.frames)
        self._llm = LLM(model=self.engine.model, **engine_arguments(self.engine))

    def process(self, row: Row) -> Iterable[Row]:
        return self.process_batch([row])[0]

    def process_batch(self, rows: Sequence[Row]) -> list[list[Row]]:
        asked = [self._request(row) for row in rows]
        waiting = [item for item in asked if item[0] is not None]
        try:
            outputs = self._generate([request for request, _ in waiting], [how for _, how in waiting])
        except _engine_died() as error:
            return [[failed(f"vLLM ended: {error}", down=True)] for _ in rows]
        done = iter(outputs)
        return [[made if request is None else self._answer(next(done), made)] for request, made in asked]

    def _request(self, row: Row) -> tuple[Any, Any]:
        """What vLLM is asked and the row, or nothing and the failure of a clip that cannot be read."""
        try:
            seen = self.engine.look(row)
        except Exception as error:
            return None, failed(f"{type(error).__name__}: {error}")
        request: dict[str, Any] = {
            "prompt": build_prompt(self._processor, row["question"], 0 if seen is None else len(seen))
        }
        if seen is not None:
            request["multi_modal_data"] = {"image": _pictures(seen)}
        return request, {**row, "seen": seen}

    def _generate(self, requests: list[Any], rows: list[Row]) -> list[Any]:
        from vllm import SamplingParams

        if not requests:
            return []
        params = [
            SamplingParams(
                temperature=row["temperature"], seed=row["seed"], max_tokens=self.engine.max_tokens
            )
            for row in rows
        ]
        found: list[Any] = self._llm.generate(requests, params, use_tqdm=False)
        return found

    def _answer(self, output: Any, row: Row) -> Row:
        told = output.outputs[0]
        return answered(told.text, told.finish_reason == "length", row["seen"])


def engine_arguments(engine: Engine) -> dict[str, Any]:
    """vLLM's engine arguments."""
    given = dict(engine.arguments)
    if engine.frames:
        given = {"limit_mm_per_prompt": {"image": engine.frames}, **given}
    if not engine.gpus:
        # As transformers runs on a CPU; vLLM's own choice there is bfloat16.
        given = {"enforce_eager": True, "dtype": "float32", **given}
    return given


def _engine_died() -> type[Exception]:
    """The error of an engine that has ended, whatever is asked of it."""
    from vllm.v1.engine.exceptions import EngineDeadError

    died: type[Exception] = EngineDeadError
    return died


def _pictures(frames: Any) -> list[Any]:
    """Pillow's pictures: of an array vLLM takes the first axis for the channels."""
    from PIL import Image

    return [Image.fromarray(frame) for frame in frames]
