"""What the API answers: OpenAI's objects, with fields of this server's own. The OpenAPI document is made of them."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class APIObject(BaseModel):
    """An object of the API."""

    model_config = ConfigDict(extra="forbid")


class ErrorDetail(APIObject):
    """What is wrong."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorAnswer(APIObject):
    """Every error of the server has this form."""

    error: ErrorDetail


class VideoError(APIObject):
    """Why a video failed."""

    code: str
    message: str


class VideoObject(APIObject):
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
    quality: Annotated[str | None, Field(description="of the model's `qualities`; null: it has none")]
    style: Annotated[str | None, Field(description="of the model's `styles`; null: it has none")]
    style_scale: Annotated[float | None, Field(description="how much of the style; null: without one")]
    error: VideoError | None
    remixed_from_video_id: str | None
    generation_seconds: Annotated[float | None, Field(description="of the pass that made it")]
    batch_size: Annotated[int | None, Field(description="videos that shared the pass")]
    model_version: Annotated[
        str | None, Field(description="`version` of the model that made it, as a name may be given anew")
    ]


class VideoList(APIObject):
    """A page of videos."""

    object: Literal["list"] = "list"
    data: list[VideoObject]
    first_id: str | None
    last_id: str | None
    has_more: bool


class VideoDeleted(APIObject):
    """A video is gone for good."""

    id: str
    object: Literal["video.deleted"] = "video.deleted"
    deleted: Literal[True] = True


class ModelObject(APIObject):
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
    queued: Annotated[int, Field(description="videos waiting or in work")]
    max_queued: int
    step_seconds: Annotated[float | None, Field(description="measured seconds of a pass for each step")]
    median_seconds: Annotated[
        float | None, Field(description="from prompt to mp4, of kept videos of `steps` steps made alone")
    ]
    median_runs: Annotated[int, Field(ge=0, description="videos of which `median_seconds` is the median")]
    version: Annotated[str | None, Field(description="the model's id, which changes with its weights")]
    qualities: Annotated[
        tuple[str, ...], Field(description="what `quality` may be; the first is the default")
    ]
    styles: Annotated[tuple[str, ...], Field(description="what `style` may be; the first is the default")]


class ModelOrigin(APIObject):
    """A model on the way from the served one back to the first."""

    kind: Annotated[str, Field(description="package, distilled, pruned, teacher, ...")]
    model_id: str
    made_by: Annotated[str | None, Field(description="the verb of the run that made it")]
    run_id: str | None
    snapshot_id: Annotated[str | None, Field(description="of the table of clips that it learned from")]
    plan: Annotated[dict[str, Any] | None, Field(description="by which it was pruned")]
    parameters: int | None
    licence: str | None


class ModelLineage(APIObject):
    """What a served model was made of: itself first, then its parent, and so on; empty: the storage does not know."""

    object: Literal["model.lineage"] = "model.lineage"
    model: str
    version: str | None
    data: list[ModelOrigin]


class TokenCount(APIObject):
    """The length of a prompt for a model's text encoder."""

    object: Literal["model.tokens"] = "model.tokens"
    tokens: Annotated[int, Field(ge=0, description="with those that the tokenizer adds at the ends")]
    max_tokens: Annotated[int, Field(description="more are refused")]


class ModelList(APIObject):
    """The served models; the first is the default."""

    object: Literal["list"] = "list"
    data: list[ModelObject]


class Health(APIObject):
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
