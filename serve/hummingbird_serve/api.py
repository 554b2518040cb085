"""The HTTP API: OpenAI's form of videos and models."""

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, urlsplit

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from hummingbird.core.scratch import local_copy
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hummingbird_serve.requests import APIError, Parse, ServedModel, VideoParameters
from hummingbird_serve.videos import VideoJobs

MAX_BODY_BYTES = 64 * 1024
FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

BODY_SCHEMA = {
    "requestBody": {
        "required": True,
        "content": {
            kind: {"schema": VideoParameters.model_json_schema()} for kind in ("application/json", FORMS[0])
        },
    }
}


def build_api(
    jobs: VideoJobs,
    models: Mapping[str, ServedModel],
    parse: Parse,
    token: str | None,
    ready: Callable[[], Awaitable[bool]],
) -> FastAPI:
    """The application with the routes of the API.

    Args:
        jobs: makes and keeps the videos.
        models: what is served, by name; the first is the default.
        parse: checks the fields of a request.
        token: what clients must send as bearer token; none: this is a loopback server, and answers only
            requests that name loopback as host and come from no foreign web page.
        ready: whether the generator answers.
    """
    app = FastAPI(title="Hummingbird", docs_url="/docs", redoc_url=None)
    app.add_middleware(Guard, token=token)

    @app.exception_handler(APIError)
    async def refuse(_: Request, error: APIError) -> JSONResponse:
        headers = {"Retry-After": "2"} if error.status == 429 else None
        return JSONResponse(error.as_json(), error.status, headers)

    @app.exception_handler(HTTPException)
    async def no_route(request: Request, error: HTTPException) -> JSONResponse:
        message = {404: f"there is nothing at {request.url.path[:80]}"}.get(
            error.status_code, str(error.detail)
        )
        return JSONResponse(APIError(error.status_code, message).as_json(), error.status_code, error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        detail = error.errors()[0]
        param = str(detail["loc"][-1])
        return JSONResponse(APIError(400, f"{param}: {detail['msg']}", param, "invalid_value").as_json(), 400)

    @app.get("/health")
    async def health() -> JSONResponse:
        """200 when the generator answers, else 503."""
        up = await ready()
        return JSONResponse({"status": "ok" if up else "unavailable"}, 200 if up else 503)

    @app.get("/v1/models")
    async def list_models() -> dict[str, Any]:
        """The served models; the first is the default."""
        return {"object": "list", "data": [model.as_json() for model in models.values()]}

    @app.get("/v1/models/{name}")
    async def get_model(name: str) -> dict[str, Any]:
        """One served model."""
        if name not in models:
            raise APIError(404, "there is no model of this name", "model", "model_not_found")
        return models[name].as_json()

    @app.post("/v1/videos", openapi_extra=BODY_SCHEMA)
    async def create(request: Request) -> dict[str, Any]:
        """Queues a video, from JSON or a form."""
        return jobs.create(parse(await _fields(request))).as_json()

    @app.get("/v1/videos")
    async def list_videos(
        after: str | None = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
        order: Literal["asc", "desc"] = "desc",
    ) -> dict[str, Any]:
        """Videos by time of creation, from the one behind ``after`` on."""
        videos = jobs.store.all()
        if order == "desc":
            videos.reverse()
        if after is not None:
            ids = [video.id for video in videos]
            if after not in ids:
                raise APIError(404, "there is no video of the id given as after", "after", "video_not_found")
            videos = videos[ids.index(after) + 1 :]
        page = [video.as_json() for video in videos[:limit]]
        return {
            "object": "list",
            "data": page,
            "first_id": page[0]["id"] if page else None,
            "last_id": page[-1]["id"] if page else None,
            "has_more": len(videos) > limit,
        }

    @app.get("/v1/videos/{video_id}")
    async def retrieve(video_id: str) -> JSONResponse:
        """A video's state."""
        # The OpenAI client polls at the pace it is told.
        return JSONResponse(jobs.store.get(video_id).as_json(), headers={"openai-poll-after-ms": "200"})

    @app.api_route("/v1/videos/{video_id}/content", methods=["GET", "HEAD"])
    async def content(video_id: str, variant: str = "video") -> FileResponse:
        """The mp4 file (H.264); ranges are served."""
        if variant != "video":
            raise APIError(400, "only the variant 'video' is offered", "variant", "unsupported_value")
        video = jobs.store.get(video_id)
        if video.status != "completed":
            message = f"the video is {video.status}: its content is there once it is completed"
            raise APIError(409, message, "video_id", "video_not_ready")
        path = await asyncio.to_thread(local_copy, jobs.store.content(video), unchanging=True)
        return FileResponse(
            path, media_type="video/mp4", filename=path.name, content_disposition_type="inline"
        )

    @app.delete("/v1/videos/{video_id}")
    async def delete(video_id: str) -> dict[str, Any]:
        """Removes a video; one that is still in work is given up."""
        jobs.delete(video_id)
        return {"id": video_id, "object": "video.deleted", "deleted": True}

    @app.api_route("/v1/{rest:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    async def nothing(rest: str) -> None:
        """The page is mounted below all routes: without this one, it would answer."""
        raise APIError(404, f"there is nothing at /v1/{rest[:80]}")

    return app


async def _fields(request: Request) -> Mapping[str, Any]:
    """The fields of a JSON or form body."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        try:
            body = await request.json()
        except (ValueError, RecursionError) as error:  # no JSON, no UTF-8, or nested without end
            raise APIError(400, "the body is no valid JSON", None, "invalid_json") from error
        if not isinstance(body, dict):
            raise APIError(400, "the body must be a JSON object", None, "invalid_json")
        return body
    if kind not in FORMS:
        raise APIError(415, f"send application/json or {FORMS[0]}", None, "unsupported_media_type")
    try:
        form = await request.form(max_files=1, max_fields=32, max_part_size=MAX_BODY_BYTES)
    except (MultiPartException, HTTPException) as error:
        raise APIError(400, "the body is no valid form", None, "invalid_form") from error
    return dict(form.items())


class Guard:
    """ASGI middleware before all routes, the page's included: body size, bearer token, foreign web pages.

    A server on loopback has no token, but every web page that its user visits can send requests to it. So it
    refuses a ``Host`` that is not loopback (a name rebound to 127.0.0.1), and a write whose ``Origin`` is
    another.
    """

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self.app, self.token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or answers it with a refusal."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        try:
            self._check(request)
        except APIError as error:
            await JSONResponse(error.as_json(), error.status)(scope, receive, send)
            return
        await self.app(scope, _bounded(receive), send)

    def _check(self, request: Request) -> None:
        length = request.headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
            raise APIError(413, f"the body is larger than {MAX_BODY_BYTES} bytes", None, "body_too_large")
        if self.token is None:
            self._check_local(request)
        elif request.scope["path"].startswith("/v1/"):
            scheme, _, token = request.headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not hmac.compare_digest(token.encode(), self.token.encode()):
                raise APIError(
                    401, "send the server's token: Authorization: Bearer TOKEN", None, "invalid_token"
                )

    def _check_local(self, request: Request) -> None:
        host = _address(f"//{request.headers.get('host', '')}")
        if host is None or host.hostname not in LOOPBACK:
            raise APIError(403, "this server answers only to 127.0.0.1 and localhost", None, "foreign_host")
        origin = request.headers.get("origin")
        if origin is None or request.method in ("GET", "HEAD", "OPTIONS"):
            return
        page = _address(origin)
        if page is None or page.netloc != request.headers["host"]:
            raise APIError(403, "writes from other web pages are refused", None, "foreign_origin")


def _address(url: str) -> SplitResult | None:
    """The parts of an address; none where it is not one."""
    try:
        return urlsplit(url)
    except ValueError:  # such as "//[::1"
        return None


def _bounded(receive: Receive) -> Receive:
    """A body sent without its length is cut off at the bound, too."""
    received = 0

    async def bounded() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > MAX_BODY_BYTES:
            raise APIError(413, f"the body is larger than {MAX_BODY_BYTES} bytes", None, "body_too_large")
        return message

    return bounded
