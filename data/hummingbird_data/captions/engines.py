"""The engines that ask a model about clips: vLLM, an OpenAI-style HTTP endpoint, transformers. One interface.

A question is a row; its answer is the same row with the columns `ANSWER`. Frames are read where the question is
asked, and the hash of just those frames goes back in the same row: an answer is never put together with a clip by
its place in a list, so neither retries nor the order of completion can give it to another clip.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from hummingbird.config.curate import EngineName
from hummingbird.config.endpoint import EndpointSettings

from hummingbird_data.reading.clip_frames import Frames, clip_frames, evenly
from hummingbird_data.stage import Row, Stage, add_stages

if TYPE_CHECKING:
    from ray.data import Dataset

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
        """Whether it can run, as far as the driver can tell. Raises InputError."""
        if self.kind == "http":
            from hummingbird_data.captions.engine_http import check_endpoint

            check_endpoint(self)
        elif self.kind == "vllm":
            from hummingbird_data.captions.engine_vllm import check_installed

            check_installed()

    def add(self, dataset: "Dataset") -> "Dataset":
        """The questions with their answers."""
        if self.kind == "vllm":
            from hummingbird_data.captions.engine_vllm import add_vllm

            return add_vllm(dataset, self)
        stage: AskStage
        if self.kind == "http":
            from hummingbird_data.captions.engine_http import HttpStage

            stage = HttpStage(engine=self, actors=self.actors, batch_rows=self.questions_at_once)
        else:
            from hummingbird_data.captions.engine_transformers import TransformersStage

            stage = TransformersStage(
                engine=self, actors=self.actors, gpus=self.gpus, batch_rows=self.batch_rows
            )
        return add_stages(dataset, [stage])

    @property
    def questions_at_once(self) -> int:
        """Rows that one actor is given together."""
        return 4 * self.endpoint.concurrency if self.kind == "http" else self.batch_rows

    def look(self, row: Row) -> Frames | None:
        """The frames (T, H, W, 3) that the model is shown of the clip of a question."""
        return evenly(clip_frames(row)[0], self.frames) if self.frames else None


@dataclass
class AskStage(Stage):
    """An engine as a stage: in a pool of actors that keep the model, or the connections, open."""

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
    """The processor of a vision-language model, or the tokenizer of one that is shown no frames."""
    from transformers import AutoProcessor, AutoTokenizer

    return (AutoProcessor if frames else AutoTokenizer).from_pretrained(model)
