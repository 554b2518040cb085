"""The seam "captioning engine": what asks a model about clips, and what it needs for that.

An engine is one class, chosen by name or import path. It is a stage that `hummingbird_data.captions.engine_actors`
keeps loaded for as long as a run. A question is a row; its answer is the same row with the columns `ANSWER`. Frames are
read where the question is asked, and the hash of just those frames goes back in the same row: an answer is never put
together with a clip by its place in a list, so neither retries nor the order of completion can give it to another one.
"""

import hashlib
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
from hummingbird.config.endpoint import EndpointSettings
from hummingbird.config.plugins import NoSettings
from hummingbird.config.section import Section

from hummingbird_data.reading.clip_frames import Frames, clip_frames, evenly
from hummingbird_data.stage import Row, Stage

QUESTION = ("clip_id", "media_path", "storage", "question", "temperature", "seed")
"""``media_path`` is None for a model that is shown no frames; ``temperature`` 0 is greedy."""

ANSWER = ("answer", "cut", "frames_hash", "failure", "down")
"""``answer``: the model's text, None where it failed; ``cut``: it ended because it was too long; ``failure``: why
this question has no answer; ``down``: the engine is at fault, not the question."""

AT_ENDPOINT = "endpoint:"
"""What stands before the name of a model at an endpoint where others have their hash."""


@dataclass(frozen=True)
class EngineSpec:
    """What the settings of curation say of a model and of what runs it.

    Attributes:
        engine: what they call the engine: rows and results name it.
        model: a folder, a shipped model's name, or a name at an endpoint.
        frames: shown of each clip, at even distances; 0: a language model, which is asked without any.
        max_tokens: most that it writes.
        part: which model of the settings it is.
        actors, gpus, batch_rows: actors (none: the engine decides), GPUs of each, clips at once.
        resources: custom resources of Ray that each actor asks for.
        endpoint, arguments: of the engines http and vllm.
    """

    engine: str
    model: str
    frames: int
    max_tokens: int
    part: Literal["captioner", "rewriter"] = "captioner"
    actors: int | None = None
    gpus: float = 0.0
    batch_rows: int = 8
    resources: Mapping[str, float] = field(default_factory=dict)
    endpoint: EndpointSettings = field(default_factory=EndpointSettings)
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CaptionModel:
    """``name``: recorded with each caption; ``digest``: captions are made anew where it changes."""

    name: str
    digest: str
    licence: str = "unknown"


class CaptionEngine(Stage):
    """A model and what runs it: in actors that keep the model, or the connections, open.

    It is made as ``CaptionEngine(settings, spec)`` with its checked ``Settings``, on the driver, which sends it to the
    workers. A subclass may set ``actors`` (0: tasks), ``gpus`` and ``batch_rows``; `setup` loads what it needs.

    Raises:
        InputError: there is no such model.
    """

    Settings: ClassVar[type[Section]] = NoSettings
    name: ClassVar[str] = "captions"
    inputs: ClassVar[tuple[str, ...]] = QUESTION
    outputs: ClassVar[tuple[str, ...]] = ANSWER

    def __init__(self, settings: Any, spec: EngineSpec) -> None:
        self.settings, self.spec = settings, spec
        self.actors, self.gpus, self.batch_rows = spec.actors or 1, spec.gpus, spec.batch_rows

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.settings!r}, {self.spec!r}, {self.identity!r})"

    @property
    @abstractmethod
    def identity(self) -> CaptionModel:
        """Which model it is."""

    def check(self) -> None:
        """Whether it can run, as far as the driver can tell: before anything is scored. Raises InputError."""

    @abstractmethod
    def answers(self, rows: Sequence[Row]) -> list[Row]:
        """The columns `ANSWER` for each question, in order: see `answered` and `failed`.

        An error that it raises is one of its question alone: of several, each is asked again by itself.
        """

    def look(self, row: Row) -> Frames | None:
        """The frames (T, H, W, 3) that the model is shown of the clip of a question."""
        return evenly(clip_frames(row)[0], self.spec.frames) if self.spec.frames else None

    def process(self, row: Row) -> Iterable[Row]:
        return self.answers([row])

    def process_batch(self, rows: Sequence[Row]) -> list[list[Row]]:
        return [[answer] for answer in self.answers(rows)]


def answered(text: str, cut: bool, frames: Frames | None) -> Row:
    """The columns of an answer."""
    shown = frames_hash(frames) if frames is not None else None
    return {"answer": text, "cut": cut, "frames_hash": shown, "failure": None, "down": False}


def failed(reason: str, down: bool = False) -> Row:
    """The columns of a question that has no answer."""
    return {"answer": None, "cut": False, "frames_hash": None, "failure": reason, "down": down}


def frames_hash(frames: Frames) -> str:
    """SHA-256 of frames (T, H, W, 3), their shape included."""
    digest = hashlib.sha256(repr(frames.shape).encode())
    digest.update(np.ascontiguousarray(frames).tobytes())
    return digest.hexdigest()
