"""What a client may ask for: the served models, the request for a video, and errors in OpenAI's form."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

MAX_SEED = 2**31 - 1
MAX_GUIDANCE = 30.0


@dataclass(frozen=True)
class ServedModel:
    """A model as clients see it: its name, what it makes, and the bounds of a request."""

    name: str
    compiled: bool
    parameters: int
    width: int
    height: int
    num_frames: int
    fps: int
    steps: int
    max_steps: int
    guidance: float
    max_tokens: int
    """Longest prompt that the text encoder reads, in tokens."""
    created: int
    """Unix time in seconds."""

    @property
    def size(self) -> str:
        """Width x height in pixels, e.g. "64x64"."""
        return f"{self.width}x{self.height}"

    @property
    def seconds(self) -> str:
        """Length of a video, e.g. "2"."""
        return f"{self.num_frames / self.fps:g}"

    def as_json(self) -> dict[str, Any]:
        """The model object of ``GET /v1/models``."""
        return {
            "id": self.name,
            "object": "model",
            "created": self.created,
            "owned_by": "hummingbird",
            "size": self.size,
            "seconds": self.seconds,
            "num_frames": self.num_frames,
            "fps": self.fps,
            "steps": self.steps,
            "max_steps": self.max_steps,
            "guidance": self.guidance,
            "max_tokens": self.max_tokens,
            "parameters": self.parameters,
            "compiled": self.compiled,
        }


class APIError(Exception):
    """A refusal that the client is told of, in OpenAI's form.

    Args:
        status: HTTP status.
        message: what is wrong and what would be right.
        param: the parameter at fault.
        code: a machine-readable word.
    """

    def __init__(self, status: int, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code

    def as_json(self) -> dict[str, Any]:
        """``{"error": {"message", "type", "param", "code"}}``."""
        kinds = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}
        default = "invalid_request_error" if self.status < 500 else "server_error"
        kind = kinds.get(self.status, default)
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}


class VideoParameters(BaseModel):
    """The body of ``POST /v1/videos``: OpenAI's fields, and this server's own. Forms send numbers as text."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    prompt: str = Field(description="what the video shows")
    model: str | None = Field(None, description="a name from /v1/models; default: the first")
    seconds: str | int | float | None = Field(None, description="length of the video")
    size: str | None = Field(None, description="width x height in pixels")
    seed: int | None = Field(None, ge=0, le=MAX_SEED, description="same seed, same video; default: random")
    steps: int | None = Field(None, ge=1, description="denoising steps")
    guidance: float | None = Field(None, ge=0.0, le=MAX_GUIDANCE, description="guidance scale")
    num_frames: int | None = Field(None, ge=1, description="length of the video in frames")

    @field_validator("prompt")
    @classmethod
    def _be_text(cls, prompt: str) -> str:
        try:
            prompt.encode()
        except UnicodeEncodeError as error:  # JSON's escapes can spell it
            raise ValueError("half of a surrogate pair is no character") from error
        return prompt


@dataclass(frozen=True)
class VideoRequest:
    """A request that can be carried out as it is."""

    model: str
    prompt: str
    seed: int
    steps: int
    guidance: float
    num_frames: int
    fps: int
    size: str
    seconds: str


@dataclass(frozen=True)
class Progress:
    """A generator's report: the request is in work, and ``done`` of ``steps`` steps are behind it."""

    done: int
    steps: int


@dataclass(frozen=True)
class Result:
    """A finished video: the mp4 file, and the seconds from prompt to mp4 of the pass that made it."""

    mp4: bytes
    seconds: float
    batch_size: int


@dataclass(frozen=True)
class Failure:
    """A video that could not be made."""

    message: str


Event = Progress | Result | Failure

Parse = Callable[[Mapping[str, Any]], "VideoRequest"]
"""`parse_request` for one server: all but the fields is settled."""


def parse_request(
    fields: Mapping[str, Any],
    models: Mapping[str, ServedModel],
    max_prompt_characters: int,
    count_tokens: Callable[[str], int],
) -> VideoRequest:
    """Checks the fields of a body and fills in the defaults of the model.

    Args:
        fields: names and values as they came.
        models: what is served; the first is the default.
        max_prompt_characters: longest prompt that is looked at.
        count_tokens: length of a prompt for the text encoder, which would leave out what is beyond its own.

    Raises:
        APIError: 400, with the parameter at fault; 404 for an unknown model.
    """
    try:
        parameters = VideoParameters.model_validate(fields)
    except ValidationError as error:
        raise _explain(error) from error
    prompt = parameters.prompt.strip()
    if not prompt:
        raise APIError(400, "the prompt is empty", "prompt", "empty_prompt")
    if len(prompt) > max_prompt_characters:
        message = f"the prompt has {len(prompt)} characters; at most {max_prompt_characters} are allowed"
        raise APIError(400, message, "prompt", "prompt_too_long")
    model = models.get(parameters.model) if parameters.model is not None else next(iter(models.values()))
    if model is None:
        message = f"there is no model {parameters.model[:80]!r}; there is {', '.join(models)}"  # type: ignore[index]
        raise APIError(404, message, "model", "model_not_found")
    tokens = count_tokens(prompt)
    if tokens > model.max_tokens:
        message = f"the prompt has {tokens} tokens; {model.name} reads at most {model.max_tokens}"
        raise APIError(400, message, "prompt", "prompt_too_long")
    if parameters.size is not None and parameters.size != model.size:
        raise _unsupported("size", parameters.size, model, model.size)
    if parameters.num_frames is not None and parameters.num_frames != model.num_frames:
        raise _unsupported("num_frames", parameters.num_frames, model, str(model.num_frames))
    if parameters.seconds is not None and not _same_number(parameters.seconds, model.seconds):
        raise _unsupported("seconds", parameters.seconds, model, model.seconds)
    if parameters.steps is not None and parameters.steps > model.max_steps:
        raise _unsupported("steps", parameters.steps, model, f"1 to {model.max_steps}")
    return VideoRequest(
        model=model.name,
        prompt=prompt,
        seed=secrets.randbelow(MAX_SEED) if parameters.seed is None else parameters.seed,
        steps=parameters.steps or model.steps,
        guidance=model.guidance if parameters.guidance is None else parameters.guidance,
        num_frames=model.num_frames,
        fps=model.fps,
        size=model.size,
        seconds=model.seconds,
    )


def _unsupported(param: str, value: object, model: ServedModel, right: str) -> APIError:
    message = f"{param} {str(value)[:40]!r} is not supported by {model.name}, which makes {right}"
    if param == "steps":
        message = f"steps {value} is out of range: {model.name} takes {right}"
    return APIError(400, message, param, "unsupported_value")


def _same_number(value: str | float, right: str) -> bool:
    try:
        return float(value) == float(right)
    except (ValueError, OverflowError):
        return False


def _explain(error: ValidationError) -> APIError:
    """The first thing wrong with a body, by name; what the client sent is not echoed."""
    detail = error.errors(include_input=False, include_url=False)[0]
    param = str(detail["loc"][0])[:40] if detail["loc"] else None
    if detail["type"] == "extra_forbidden":
        known = ", ".join(VideoParameters.model_fields)
        return APIError(400, f"unknown parameter {param!r}; there are {known}", param, "unknown_parameter")
    if detail["type"] == "missing":
        return APIError(400, f"missing parameter {param!r}", param, "missing_parameter")
    return APIError(400, f"{param}: {detail['msg']}", param, "invalid_value")
