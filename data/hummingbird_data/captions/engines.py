"""The engines that ask a model about clips: vLLM, an OpenAI-style HTTP endpoint, transformers. One interface.

Each is a stage that `hummingbird_data.captions.engine_actors` keeps loaded for as long as a run. A question is a row;
its answer is the same row with the columns `ANSWER`. Frames are read where the question is asked, and the hash of just
those frames goes back in the same row: an answer is never put together with a clip by its place in a list, so neither
retries nor the order of completion can give it to another clip.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from hummingbird.config.curate import EngineName
from hummingbird.config.endpoint import EndpointSettings

from hummingbird_data.reading.clip_frames import Frames, clip_frames, evenly
from hummingbird_data.runtime.model_files import check_files
from hummingbird_data.stage import Row, Stage

QUESTION = ("clip_id", "media_path", "storage", "question", "temperature", "seed")
"""``media_path`` is None for a model that is shown no frames; ``temperature`` 0 is greedy."""

ANSWER = ("answer", "cut", "frames_hash", "failure", "down")
"""``answer``: the model's text, None where it failed; ``cut``: it ended because it was too long; ``failure``: why
this question has no answer; ``down``: the engine is at fault, not the question."""


@dataclass(frozen=True)
class Engine:
    """A model and what runs it.

    Attributes:
        kind: vllm, http or transformers.
        model: its folder, or its name at the endpoint.
        name: recorded with each caption.
        frames: shown of each clip, at even distances; 0: a language model, which is asked without any.
        max_tokens: most that it writes.
        actors, gpus, batch_rows: actors (0: tasks, of transformers alone), GPUs of each, clips at once.
        endpoint: of the kind http.
        arguments: further ones of the kind vllm.
    """

    kind: EngineName
    model: str
    name: str
    frames: int
    max_tokens: int
    actors: int = 1
    gpus: float = 0.0
    batch_rows: int = 8
    endpoint: EndpointSettings = field(default_factory=EndpointSettings)
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def check(self) -> None:
        """Whether it can run, as far as the driver can tell: before anything is scored.

        Raises:
            InputError: the endpoint is not there or vLLM not installed; a model whose weights are missing, renamed, of
                another shape or cut off.
        """
        if self.kind == "http":
            from hummingbird_data.captions.engine_http import check_endpoint

            check_endpoint(self)
            return
        if self.kind == "vllm":
            from hummingbird_data.captions.engine_vllm import check_installed

            check_installed()
        check_model(self)

    def stage(self) -> "AskStage":
        """What asks the questions."""
        if self.kind == "http":
            from hummingbird_data.captions.engine_http import HttpStage

            return HttpStage(engine=self, actors=self.actors, batch_rows=self.questions_at_once)
        if self.kind == "vllm":
            from hummingbird_data.captions.engine_vllm import VllmStage

            return VllmStage(engine=self, actors=self.actors, gpus=self.gpus, batch_rows=self.batch_rows)
        from hummingbird_data.captions.engine_transformers import TransformersStage

        return TransformersStage(engine=self, actors=self.actors, gpus=self.gpus, batch_rows=self.batch_rows)

    @property
    def questions_at_once(self) -> int:
        """Rows that one actor is given together."""
        return 4 * self.endpoint.concurrency if self.kind == "http" else self.batch_rows

    def look(self, row: Row) -> Frames | None:
        """The frames (T, H, W, 3) that the model is shown of the clip of a question."""
        return evenly(clip_frames(row)[0], self.frames) if self.frames else None


@dataclass
class AskStage(Stage):
    """An engine as a stage: in actors that keep the model, or the connections, open."""

    name: ClassVar[str] = "captions"
    inputs: ClassVar[tuple[str, ...]] = QUESTION
    outputs: ClassVar[tuple[str, ...]] = ANSWER
    engine: Engine
    actors: int = 1
    gpus: float = 0.0
    batch_rows: int = 8


def answered(text: str, cut: bool, seen: Frames | None) -> Row:
    """The columns of an answer."""
    shown = frames_hash(seen) if seen is not None else None
    return {"answer": text, "cut": cut, "frames_hash": shown, "failure": None, "down": False}


def failed(reason: str, down: bool = False) -> Row:
    """The columns of a question that has no answer."""
    return {"answer": None, "cut": False, "frames_hash": None, "failure": reason, "down": down}


def frames_hash(frames: Frames) -> str:
    """SHA-256 of frames (T, H, W, 3), their shape included."""
    digest = hashlib.sha256(repr(frames.shape).encode())
    digest.update(np.ascontiguousarray(frames).tobytes())
    return digest.hexdigest()


def build_prompt(processor: Any, question: str, images: int) -> str:
    """The text that a model is given: by the chat template of its processor or tokenizer, else images, question."""
    if getattr(processor, "chat_template", None):
        content: Any = question
        if images:
            content = [{"type": "image"}] * images + [{"type": "text", "text": question}]
        messages = [{"role": "user", "content": content}]
        return str(processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
    return f"{processor.image_token * images}\n{question}\n" if images else f"{question}\n"


def load_processor(model: str, frames: int) -> Any:
    """The processor of a vision-language model, or the tokenizer of one that is shown no frames.

    Processors that take video too want torchvision for it. Frames go as pictures here, so without torchvision they are
    made without their part for video.
    """
    from importlib.util import find_spec

    from transformers import AutoConfig, AutoProcessor, AutoTokenizer
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING

    if not frames:
        return AutoTokenizer.from_pretrained(model)
    kind = PROCESSOR_MAPPING.get(type(AutoConfig.from_pretrained(model)), None)
    if kind is None or "video_processor" not in kind.get_attributes() or find_spec("torchvision"):
        return AutoProcessor.from_pretrained(model)

    class PicturesOnly(kind):  # type: ignore[misc, valid-type]
        # transformers takes a processor's parts from this signature.
        def __init__(
            self, image_processor: Any, tokenizer: Any, chat_template: Any = None, **others: Any
        ) -> None:
            super().__init__(image_processor, tokenizer, None, chat_template=chat_template, **others)

    return PicturesOnly.from_pretrained(model)


def check_model(engine: Engine) -> None:
    """Whether the model's folder holds its weights, by their names and shapes: none is loaded.

    A model that transformers does not know, or that is quantized, is for vLLM to judge; its files must be whole.

    Raises:
        InputError: they are missing, renamed, of another shape or cut off.
    """
    from hummingbird.models.loading import check_weights
    from transformers import AutoConfig

    check_files(Path(engine.model))
    kind = model_class(engine)
    if engine.kind == "vllm":
        try:
            config = AutoConfig.from_pretrained(engine.model)
        except ValueError:
            return
        if type(config) not in kind._model_mapping or getattr(config, "quantization_config", None):
            return
    check_weights(kind, engine.model)


def model_class(engine: Engine) -> Any:
    """transformers' class for the engine's model: one that is shown frames, or a language model."""
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

    return AutoModelForImageTextToText if engine.frames else AutoModelForCausalLM
