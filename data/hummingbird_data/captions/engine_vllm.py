"""The engine ``vllm``: vLLM in an actor of the run, for nodes with the extra caption.

The actor asks for ``curate.model_gpus`` GPUs, and vLLM spreads the model over them where ``tensor_parallel_size`` in
the engine's arguments says so.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from hummingbird.core.errors import InputError

from hummingbird_data.captions.engine_folders import FolderEngine, build_prompt, load_processor
from hummingbird_data.captions.engines import EngineSpec, answered, failed
from hummingbird_data.stage import Row


class VllmEngine(FolderEngine):
    """All questions of a batch at once; vLLM takes as many of them together as fit its memory."""

    def __init__(self, settings: Any, spec: EngineSpec) -> None:
        super().__init__(settings, spec)
        self._llm: Any = None
        self._processor: Any = None

    def check(self) -> None:
        """See `FolderEngine.check`. Raises InputError where vLLM is not installed."""
        if find_spec("vllm") is None:
            raise InputError(
                "the engine vllm needs vLLM: install the extra 'caption', or set curate.caption_engine (or "
                "curate.rewrite_engine) to transformers or http"
            )
        super().check()

    def weights_can_be_checked(self) -> bool:
        """Not where transformers does not know the model, or it is quantized: those vLLM judges."""
        from transformers import AutoConfig

        try:
            config = AutoConfig.from_pretrained(self.folder)
        except ValueError:
            return False
        known = type(config) in self.model_class._model_mapping
        return known and not getattr(config, "quantization_config", None)

    def setup(self) -> None:
        from vllm import LLM

        self._processor = load_processor(str(self.folder), self.spec.frames)
        self._llm = LLM(model=str(self.folder), **engine_arguments(self.spec))

    def answers(self, rows: Sequence[Row]) -> list[Row]:
        requests = [self._request(row) for row in rows]
        readable = [(request, question) for request, question in requests if request is not None]
        try:
            outputs = iter(self._generate([one[0] for one in readable], [one[1] for one in readable]))
        except _engine_died() as error:
            return [failed(f"vLLM ended: {error}", down=True) for _ in rows]
        return [
            row if request is None else self._answer(next(outputs), row)  # the failure, or the question
            for request, row in requests
        ]

    def _request(self, row: Row) -> tuple[Any, Any]:
        """What vLLM is asked and the row, or nothing and the failure of a clip that cannot be read."""
        try:
            frames = self.look(row)
        except Exception as error:
            return None, failed(f"{type(error).__name__}: {error}")
        request: dict[str, Any] = {
            "prompt": build_prompt(self._processor, row["question"], 0 if frames is None else len(frames))
        }
        if frames is not None:
            request["multi_modal_data"] = {"image": _pictures(frames)}
        return request, {**row, "frames": frames}

    def _generate(self, requests: list[Any], rows: list[Row]) -> list[Any]:
        from vllm import SamplingParams

        if not requests:
            return []
        params = [
            SamplingParams(temperature=row["temperature"], seed=row["seed"], max_tokens=self.spec.max_tokens)
            for row in rows
        ]
        outputs: list[Any] = self._llm.generate(requests, params, use_tqdm=False)
        return outputs

    def _answer(self, output: Any, row: Row) -> Row:
        completion = output.outputs[0]
        return answered(completion.text, completion.finish_reason == "length", row["frames"])


def engine_arguments(spec: EngineSpec) -> dict[str, Any]:
    """vLLM's engine arguments."""
    arguments = dict(spec.arguments)
    if spec.frames:
        arguments = {"limit_mm_per_prompt": {"image": spec.frames}, **arguments}
    if not spec.gpus:
        # As transformers runs on a CPU; vLLM's own choice there is bfloat16.
        arguments = {"enforce_eager": True, "dtype": "float32", **arguments}
    return arguments


def _engine_died() -> type[Exception]:
    """The error of an engine that has ended, whatever is asked of it."""
    from vllm.v1.engine.exceptions import EngineDeadError

    died: type[Exception] = EngineDeadError
    return died


def _pictures(frames: Any) -> list[Any]:
    """Pillow's pictures: of an array vLLM takes the first axis for the channels."""
    from PIL import Image

    return [Image.fromarray(frame) for frame in frames]
