"""The routes of videos."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Header, Query, Request
from fastapi.responses import FileResponse, JSONResponse, Response, StreamingResponse
from hummingbird.core.scratch import local_copy
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException

from hummingbird_serve.answers import VideoDeleted, VideoList, VideoObject, error_answers
from hummingbird_serve.guard import MAX_BODY_BYTES, asker_of
from hummingbird_serve.jobs import VideoJobs
from hummingbird_serve.requests import APIError, Parse, ServedModel, VideoParameters, form_values
from hummingbird_serve.videos import Video, poll_milliseconds

FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")
KEEP_ALIVE_SECONDS = 15.0
EVERYWHERE = (401, 403, 429, 503)
MEDIA = {"video": ("mp4", "video/mp4"), "thumbnail": ("webp", "image/webp")}

Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="the same key and body: the same video; another body: 409",
    ),
]


def _body(schema: dict[str, Any]) -> dict[str, Any]:
    content = {kind: {"schema": schema} for kind in ("application/json", FORMS[0])}
    return {"requestBody": {"required": True, "content": content}}


REMIX_SCHEMA = {
    "type": "object",
    "properties": {"prompt": {"type": "string", "description": "what the new video shows"}},
    "required": ["prompt"],
    "additionalProperties": False,
}
FILE: dict[int | str, dict[str, Any]] = {
    200: {"content": {kind: {} for _, kind in MEDIA.values()}, "description": "The file."}
}
PARTS: dict[int | str, dict[str, Any]] = {
    206: {"description": "The range that was asked for."},
    304: {"description": "The client has it already (`If-None-Match`)."},
}
EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"text/event-stream": {}},
        "description": "Events named queued, in_progress, completed, failed, cancelled; the data is the video.",
    }
}


def add_video_routes(app: FastAPI, jobs: VideoJobs, models: Mapping[str, ServedModel], parse: Parse) -> None:
    """Adds all below ``/v1/videos``."""
    create_errors = error_answers(*EVERYWHERE, 400, 404, 409, 413, 415, 507)

    async def submit(request: Request, key: str | None, extra: Mapping[str, Any] | None = None) -> Video:
        fields = {**(await _fields(request)), **(extra or {})}
        digest = hashlib.sha256(json.dumps([request.url.path, fields], sort_keys=True, default=str).encode())
        wanted = parse(fields)
        return await jobs.create(
            wanted, asker_of(request.scope), key=(key, digest.hexdigest()) if key else None
        )

    @app.post(
        "/v1/videos",
        tags=["videos"],
        openapi_extra=_body(VideoParameters.model_json_schema()),
        responses=create_errors,
    )
    async def create(request: Request, idempotency_key: Key = None) -> VideoObject:
        """Queues a video, from JSON or a form. Once this is answered, the job outlives the server."""
        return jobs.describe(await submit(request, idempotency_key))

    @app.post(
        "/v1/videos/sync",
        tags=["videos"],
        openapi_extra=_body(VideoParameters.model_json_schema()),
        response_class=FileResponse,
        responses={**FILE, **create_errors, **error_answers(500)},
    )
    async def make(request: Request, idempotency_key: Key = None) -> Response:
        """Makes a video and answers with the mp4 file. A client that goes away cancels it."""
        video = await submit(request, idempotency_key)
        finish = asyncio.create_task(_until_finished(jobs, video))
        try:
            while not finish.done():
                await asyncio.wait([finish], timeout=0.5)
                if not finish.done() and await request.is_disconnected():
                    with suppress(APIError):
                        await jobs.cancel(video.id)
                    return Response(status_code=499)
        finally:
            finish.cancel()
        headers = {"Hummingbird-Video-Id": video.id, "Hummingbird-Seed": str(video.request.seed)}
        if video.status != "completed":
            message = video.error or f"the video was {'cancelled' if video.finished else 'deleted'}"
            refused = APIError(
                500, message, None, (video.end.code if video.end else None) or "video_cancelled"
            )
            return JSONResponse(refused.as_json(), 500, {**refused.headers(), **headers})
        return await _file(jobs, video, "video", request, headers)

    @app.get("/v1/videos", tags=["videos"], responses=error_answers(*EVERYWHERE, 404))
    async def list_videos(
        after: str | None = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
        order: Literal["asc", "desc"] = "desc",
    ) -> VideoList:
        """Videos by time of creation, from the one behind ``after`` on."""
        videos = jobs.all()
        if order == "desc":
            videos.reverse()
        if after is not None:
            ids = [video.id for video in videos]
            if after not in ids:
                raise APIError(404, "there is no video of the id given as after", "after", "video_not_found")
            videos = videos[ids.index(after) + 1 :]
        page = [jobs.describe(video) for video in videos[:limit]]
        return VideoList(
            data=page,
            first_id=page[0].id if page else None,
            last_id=page[-1].id if page else None,
            has_more=len(videos) > limit,
        )

    @app.get("/v1/videos/{video_id}", tags=["videos"], responses=error_answers(*EVERYWHERE, 404))
    async def retrieve(video_id: str, response: Response) -> VideoObject:
        """A video's state. ``Openai-Poll-After-Ms`` says when to ask again."""
        answer = jobs.describe(await jobs.get(video_id))
        response.headers["Openai-Poll-After-Ms"] = str(poll_milliseconds(answer.expected_seconds))
        response.headers["Cache-Control"] = "no-store"
        return answer

    @app.get(
        "/v1/videos/{video_id}/events",
        tags=["videos"],
        response_class=StreamingResponse,
        responses={**EVENTS, **error_answers(*EVERYWHERE, 404)},
    )
    async def events(video_id: str) -> StreamingResponse:
        """The video at once, then at every denoising step and change of place, until it is finished."""
        video = await jobs.get(video_id)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(_events(jobs, video), media_type="text/event-stream", headers=headers)

    content_errors = error_answers(*EVERYWHERE, 400, 404, 416)

    @app.get(
        "/v1/videos/{video_id}/content",
        tags=["videos"],
        response_class=FileResponse,
        responses={**FILE, **PARTS, **content_errors},
    )
    async def content(
        request: Request, video_id: str, variant: Literal["video", "thumbnail"] = "video"
    ) -> Response:
        """The mp4 file (H.264), or the middle frame as WebP. Ranges are served; before its time it is a 404."""
        return await _file(jobs, await jobs.get(video_id), variant, request)

    app.head("/v1/videos/{video_id}/content", include_in_schema=False)(content)

    @app.post(
        "/v1/videos/{video_id}/cancel", tags=["videos"], responses=error_answers(*EVERYWHERE, 404, 409, 507)
    )
    async def cancel(video_id: str) -> VideoObject:
        """Ends a video that waits or is in work. One that has completed or failed stays so: 409."""
        return jobs.describe(await jobs.cancel(video_id))

    @app.post(
        "/v1/videos/{video_id}/remix",
        tags=["videos"],
        openapi_extra=_body(REMIX_SCHEMA),
        responses=create_errors,
    )
    async def remix(request: Request, video_id: str, idempotency_key: Key = None) -> VideoObject:
        """A new video with the seed and settings of another, and another prompt."""
        source = await jobs.get(video_id)
        fields = await _fields(request)
        if unknown := sorted(set(fields) - {"prompt"}):
            name = unknown[0][:40]
            raise APIError(
                400, f"unknown parameter {name!r}; a remix takes prompt", name, "unknown_parameter"
            )
        old = source.request
        wanted = parse(
            {
                "prompt": fields.get("prompt"),
                "model": old.model,
                "seed": old.seed,
                "steps": old.steps,
                "guidance": old.guidance,
                "user": old.user,
                "quality": old.quality,
                "style": old.style,
                "style_scale": old.style_scale,
            }
            if "prompt" in fields
            else {}
        )
        digest = hashlib.sha256(json.dumps([request.url.path, fields], sort_keys=True, default=str).encode())
        key = (idempotency_key, digest.hexdigest()) if idempotency_key else None
        video = await jobs.create(wanted, asker_of(request.scope), remixed_from=video_id, key=key)
        return jobs.describe(video)

    @app.delete("/v1/videos/{video_id}", tags=["videos"], responses=error_answers(*EVERYWHERE, 404, 507))
    async def delete(video_id: str) -> VideoDeleted:
        """Removes a video for good; one that is still in work is given up."""
        await jobs.delete(video_id)
        return VideoDeleted(id=video_id)


async def _until_finished(jobs: VideoJobs, video: Video) -> None:
    async for _ in jobs.watch(video):
        pass


async def _events(jobs: VideoJobs, video: Video) -> AsyncIterator[str]:
    """Server-sent events; a comment now and then keeps the connection from being taken for dead."""
    watch = jobs.watch(video)
    following = asyncio.ensure_future(anext(watch, None))
    try:
        count = 0
        while True:
            done, _ = await asyncio.wait([following], timeout=KEEP_ALIVE_SECONDS)
            if not done:
                yield ": still here\n\n"
                continue
            answer = following.result()
            if answer is None:
                if not video.finished:
                    yield 'event: deleted\ndata: {"id": "' + video.id + '"}\n\n'
                return
            count += 1
            yield f"id: {count}\nevent: {answer.status}\ndata: {answer.model_dump_json()}\n\n"
            following = asyncio.ensure_future(anext(watch, None))
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
        await watch.aclose()  # type: ignore[attr-defined]


async def _file(
    jobs: VideoJobs, video: Video, variant: str, request: Request, headers: Mapping[str, str] | None = None
) -> Response:
    """A file of a finished video, or 304 where the client has it.

    Raises:
        APIError: 404, it is not there: not yet, not any more, or never. Clients repeat a 409 or 425 by themselves.
    """
    if video.status != "completed" or video.end is None:
        code = "video_not_ready" if not video.finished else f"video_{video.status}"
        message = f"the video is {video.status}: its content is there once it is completed"
        raise APIError(404, message, "video_id", code)
    kind, media_type = MEDIA[variant]
    tag = f'"{video.id}.{video.end.claim}.{kind}"'
    headers = {**(headers or {}), "ETag": tag, "Cache-Control": "private, no-cache"}
    known = request.headers.get("if-none-match", "")
    if known == "*" or tag in (part.strip().removeprefix("W/") for part in known.split(",")):
        return Response(status_code=304, headers=headers)
    try:
        path = await asyncio.to_thread(local_copy, jobs.content(video, kind), unchanging=True)
        await asyncio.to_thread(path.stat)
    except FileNotFoundError as error:
        raise APIError(404, "the file of this video was lost", "video_id", "content_lost") from error
    return FileResponse(
        path,
        media_type=media_type,
        filename=f"{video.id}.{kind}",
        content_disposition_type="inline",
        headers=headers,
    )


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
    return form_values(dict(form.items()))
