"""What a client may ask for: the served models, the request for a video, and errors in OpenAI's form."""

import re
import secrets
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

MAX_SEED = 2**31 - 1
MAX_GUIDANCE = 30.0

NO_STYLE = "none"
"""The style of a request that wants none."""
MAX_STYLE_SCALE = 2.0
DECODERS = {"fast": "small", "quality": "full"}
"""The decoder of each quality."""

BLANKS = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and symbols that look like nothing."""
INTEGERS = ("width", "height", "seed", "steps", "num_inference_steps", "num_frames")
NUMBERS = ("guidance", "guidance_scale", "fps")
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?([0-9]{1,18}(\.[0-9]{0,18})?|\.[0-9]{1,18})")

REFUSED = {
    "negative_prompt": "negative_prompt is not supported: the student's guidance is part of the network, and has no "
    "second prompt; say in the prompt what is wanted",
    "input_reference": "input_reference is not supported: these models make videos of text alone",
}
"""Parameters of other servers, and why this one does not take them."""


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
    version: str | None = None
    """The model's id in the lake or the start of its weights' hash; none: not known."""
    lineage: tuple[Mapping[str, Any], ...] = ()
    """What it was made of (`answers.ModelOrigin`), itself first."""
    qualities: tuple[str, ...] = ()
    """Of ``fast`` (small decoder) and ``quality`` (the autoencoder's), the default first; empty: nothing to choose."""
    styles: tuple[str, ...] = ()
    """What ``style`` may be, the default first (`NO_STYLE`); empty: nothing to choose."""
    compiled_name: str | None = None
    """The file that says that a package has taken the place of an eager model."""

    @property
    def size(self) -> str:
        """Width x height in pixels, e.g. "64x64"."""
        return f"{self.width}x{self.height}"

    @property
    def seconds(self) -> str:
        """Length of a video, e.g. "2"."""
        return f"{self.num_frames / self.fps:g}"


class APIError(Exception):
    """A refusal that the client is told of, in OpenAI's form.

    Args:
        status: HTTP status.
        message: what is wrong and what would be right.
        param: the parameter at fault.
        code: a machine-readable word.
        retry_after: seconds after which the same request may succeed; none: it will not.
    """

    def __init__(
        self,
        status: int,
        message: str,
        param: str | None = None,
        code: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code
        self.retry_after = retry_after

    def headers(self) -> dict[str, str]:
        """When to come again, or that it is of no use: clients repeat a 409 or 5xx by themselves."""
        if self.retry_after is None:
            return {"X-Should-Retry": "false"}
        return {"Retry-After": str(self.retry_after)}

    def as_json(self) -> dict[str, Any]:
        """``{"error": {"message", "type", "param", "code"}}``."""
        kinds = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}
        default = "invalid_request_error" if self.status < 500 else "server_error"
        kind = kinds.get(self.status, default)
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}


class VideoParameters(BaseModel):
    """The body of ``POST /v1/videos``: OpenAI's fields, other video servers', and this server's own."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, strict=True)

    prompt: str = Field(description="what the video shows")
    model: str | None = Field(None, description="a name from /v1/models; default: the first")
    seconds: str | int | float | None = Field(None, description="length of the video")
    size: str | None = Field(None, description="width x height in pixels")
    width: int | None = Field(None, ge=1, description="pixels")
    height: int | None = Field(None, ge=1, description="pixels")
    seed: int | None = Field(None, ge=0, le=MAX_SEED, description="same seed, same video; default: random")
    steps: int | None = Field(None, ge=1, description="denoising steps")
    num_inference_steps: int | None = Field(None, ge=1, description="the same as steps")
    guidance: float | None = Field(None, ge=0.0, le=MAX_GUIDANCE, description="guidance scale")
    guidance_scale: float | None = Field(None, ge=0.0, le=MAX_GUIDANCE, description="the same as guidance")
    num_frames: int | None = Field(None, ge=1, description="length of the video in frames")
    fps: int | float | None = Field(None, gt=0, description="frames a second")
    quality: str | None = Field(
        None,
        max_length=64,
        description="one of the model's `qualities`: fast (small decoder), quality (full)",
    )
    style: str | None = Field(None, max_length=64, description="one of the model's `styles`")
    style_scale: float | None = Field(
        None, ge=0.0, le=MAX_STYLE_SCALE, description="how much of the style; 1 where nothing is said"
    )
    user: str | None = Field(None, max_length=64, description="your word for your user; given back")

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
    user: str | None = None
    """The client's word for its user."""
    quality: str | None = None
    style: str | None = None
    style_scale: float | None = None


@dataclass(frozen=True)
class Progress:
    """A generator's report: the request is in work, and ``done`` of ``steps`` steps are behind it."""

    done: int
    steps: int


@dataclass(frozen=True)
class Result:
    """A finished video: its files, and the seconds from prompt to mp4 of the pass that made it."""

    mp4: bytes
    thumbnail: bytes
    """The middle frame as WebP."""
    seconds: float
    batch_size: int


@dataclass(frozen=True)
class Failure:
    """A video that could not be made."""

    message: str
    batch_size: int = 1
    """Videos that shared the pass, any of which may be the cause."""


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
    for name, reason in REFUSED.items():
        if fields.get(name) is not None:
            raise APIError(400, reason, name, "unsupported_parameter")
    try:
        parameters = VideoParameters.model_validate({k: v for k, v in fields.items() if k not in REFUSED})
    except ValidationError as error:
        raise _explain(error) from error
    prompt = check_prompt(parameters.prompt, max_prompt_characters)
    model = models.get(parameters.model) if parameters.model is not None else next(iter(models.values()))
    if model is None:
        message = f"there is no model {parameters.model[:80]!r}; there is {', '.join(models)}"  # type: ignore[index]
        raise APIError(404, message, "model", "model_not_found")
    check_tokens(prompt, model, count_tokens)
    for param, value, right in (
        ("size", parameters.size, model.size),
        ("width", parameters.width, model.width),
        ("height", parameters.height, model.height),
        ("num_frames", parameters.num_frames, model.num_frames),
        ("fps", parameters.fps, model.fps),
    ):
        if value is not None and value != right:
            raise _unsupported(param, value, model, str(right))
    if parameters.seconds is not None and not _same_number(parameters.seconds, model.seconds):
        raise _unsupported("seconds", parameters.seconds, model, model.seconds)
    steps = _one_of(parameters, "steps", "num_inference_steps")
    guidance = _one_of(parameters, "guidance", "guidance_scale")
    if steps is not None and steps > model.max_steps:
        raise _unsupported("steps", steps, model, f"1 to {model.max_steps}")
    for param, offered in (("quality", model.qualities), ("style", model.styles)):
        value = getattr(parameters, param)
        if value is not None and value not in offered:
            what = f"takes {', '.join(offered)}" if offered else "offers no choice"
            raise APIError(400, f"{param} {value[:40]!r}: {model.name} {what}", param, "unsupported_value")
    style = parameters.style or next(iter(model.styles), None)
    styled = style not in (None, NO_STYLE)
    if parameters.style_scale is not None and not styled:
        raise APIError(400, "style_scale needs a style", "style_scale", "unsupported_value")
    return VideoRequest(
        model=model.name,
        prompt=prompt,
        seed=secrets.randbelow(MAX_SEED) if parameters.seed is None else parameters.seed,
        steps=steps or model.steps,
        guidance=model.guidance if guidance is None else float(guidance),
        num_frames=model.num_frames,
        fps=model.fps,
        size=model.size,
        seconds=model.seconds,
        user=parameters.user,
        quality=parameters.quality or next(iter(model.qualities), None),
        style=style,
        style_scale=(1.0 if parameters.style_scale is None else float(parameters.style_scale))
        if styled
        else None,
    )


def check_prompt(prompt: str, max_characters: int) -> str:
    """The prompt without blanks at its ends.

    Raises:
        APIError: 400, nothing of it can be seen, or it is too long.
    """
    prompt = prompt.strip()
    if not any(unicodedata.category(char)[0] in "LNPS" and char not in BLANKS for char in prompt):
        raise APIError(400, "the prompt is empty", "prompt", "empty_prompt")
    if len(prompt) > max_characters:
        message = f"the prompt has {len(prompt)} characters; at most {max_characters} are allowed"
        raise APIError(400, message, "prompt", "prompt_too_long")
    return prompt


def check_tokens(prompt: str, model: ServedModel, count_tokens: Callable[[str], int]) -> None:
    """Raises APIError where the text encoder would not read the prompt to its end."""
    tokens = count_tokens(prompt)
    if tokens > model.max_tokens:
        message = f"the prompt has {tokens} tokens; {model.name} reads at most {model.max_tokens}"
        raise APIError(400, message, "prompt", "prompt_too_long")


def form_values(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a form, whose values are all text, with numbers where numbers are wanted.

    What is no plain number stays text, which the check of the types then refuses.
    """
    values = dict(fields)
    for name, pattern, kind in (
        *((n, _INTEGER, int) for n in INTEGERS),
        *((n, _NUMBER, float) for n in NUMBERS),
    ):
        value = values.get(name)
        if isinstance(value, str) and pattern.fullmatch(value):
            values[name] = kind(value)
    return values


def _one_of(parameters: VideoParameters, name: str, other: str) -> Any:
    """The value of a parameter that has two names."""
    value, again = getattr(parameters, name), getattr(parameters, other)
    if value is not None and again is not None and value != again:
        raise APIError(400, f"{name} and {other} are the same and must not differ", other, "invalid_value")
    return again if value is None else value


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
