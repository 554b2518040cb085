"""What the API answers: OpenAI's objects, with fields of this server's own. The OpenAPI document is made of them."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Answer(BaseModel):
    """An object of the API."""

    model_config = ConfigDict(extra="forbid")


class ErrorDetail(Answer):
    """What is wrong."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorAnswer(Answer):
    """Every error of the server has this form."""

    error: ErrorDetail


class VideoError(Answer):
    """Why a video failed."""

    code: str
    message: str


class VideoObject(Answer):
    """A video and its making. Times are Unix seconds."""

    id: str
    object: Literal["video"] = "video"
    status: Literal["queued", "in_progress", "completed", "failed", "cancelled"]
    progress: Annotated[int, Field(ge=0, le=100, description="percent; 100: the file is there")]
    step: Annotated[int, Field(ge=0, description="denoising steps done, of `steps`")]
    queue_position: Annotated[
        int | None, Field(description="1: the next of its model; null: not waiting any more")
    ]
    expected_seconds: Annotated[
        float | None,
        Field(description="until it is finished, from measured passes; null: unknown or finished"),
    ]
    attempts: Annotated[int, Field(ge=0, description="how often its making was begun and lost")]
    created_at: int
    completed_at: Annotated[int | None, Field(description="when it ended, in whatever way")]
    expires_at: Annotated[int | None, Field(description="when it is removed")]
    model: str
    prompt: str
    seed: int
    steps: int
    guidance: float
    num_frames: int
    fps: int
    size: str
    seconds: str
    user: str | None
    quality: Annotated[str, Field(description="fast: the small decoder; quality: the autoencoder's")]
    error: VideoError | None
    remixed_from_video_id: str | None
    generation_seconds: Annotated[float | None, Field(description="of the pass that made it")]
    batch_size: Annotated[int | None, Field(description="videos that shared the pass")]


class VideoList(Answer):
    """A page of videos."""

    object: Literal["list"] = "list"
    data: list[VideoObject]
    first_id: str | None
    last_id: str | None
    has_more: bool


class VideoDeleted(Answer):
    """A video is gone for good."""

    id: str
    object: Literal["video.deleted"] = "video.deleted"
    deleted: Literal[True] = True


class ModelObject(Answer):
    """A served model, what it makes and the bounds of a request."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: Literal["hummingbird"] = "hummingbird"
    size: str
    width: int
    height: int
    seconds: str
    num_frames: int
    fps: int
    steps: int
    max_steps: int
    guidance: float
    max_tokens: Annotated[int, Field(description="longest prompt, in tokens of the model's tokenizer")]
    max_prompt_characters: int
    parameters: int
    compiled: bool
    qualities: Annotated[
        tuple[str, ...], Field(description="what `quality` may be; the first is the default")
    ]
    queued: Annotated[int, Field(description="videos waiting or in work")]
    max_queued: int
    step_seconds: Annotated[float | None, Field(description="measured seconds of a pass for each step")]


class ModelList(Answer):
    """The served models; the first is the default."""

    object: Literal["list"] = "list"
    data: list[ModelObject]


class Health(Answer):
    """Whether the server is alive and what ails it."""

    status: Literal["ok", "degraded", "stopping"]
    storage: Literal["ok", "full", "unavailable"]
    ready: Annotated[bool, Field(description="a generator answers")]


def error_answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of a route that may answer these errors."""
    return {status: {"model": ErrorAnswer, "description": ERRORS[status]} for status in statuses}


ERRORS = {
    400: "The request is wrong; `param` names what.",
    401: "No API key, or a wrong one.",
    403: "From a foreign web page, or under a host name that the server does not know.",
    404: "There is no such thing (any more, or yet).",
    405: "This method is not for this path.",
    409: "It contradicts what was there first.",
    413: "The body is too large.",
    415: "The body is neither JSON nor a form.",
    416: "The file has no such range.",
    429: "Too many; `Retry-After` says when to come again.",
    500: "The video could not be made.",
    503: "The server is stopping, or its storage fails.",
    507: "The storage is full.",
}
