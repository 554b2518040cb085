"""The HTTP API: OpenAI's form of videos and models."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from hummingbird.core.files import as_path
from starlette.exceptions import HTTPException
from starlette.routing import Match

from hummingbird_serve.answers import ERRORS, Health, ModelList, ModelObject, error_answers
from hummingbird_serve.guard import Guard
from hummingbird_serve.jobs import VideoJobs, storage_error
from hummingbird_serve.keys import KeyRing
from hummingbird_serve.login import add_login
from hummingbird_serve.reference import reference_page
from hummingbird_serve.requests import APIError, Parse, ServedModel
from hummingbird_serve.video_routes import add_video_routes

logger = logging.getLogger("ray.serve")

EVERYWHERE = (401, 403, 429, 503)


def build_api(
    jobs: VideoJobs,
    models: Mapping[str, ServedModel],
    parse: Parse,
    keys: KeyRing,
    ready: Callable[[], Awaitable[bool]],
    allowed_hosts: Collection[str] = (),
) -> FastAPI:
    """The application with the routes of the API.

    Args:
        jobs: makes and keeps the videos; begins and ends with the application.
        models: what is served, by name; the first is the default.
        parse: checks the fields of a request.
        keys: what clients must send; empty: this is a loopback server.
        ready: whether the generator answers.
        allowed_hosts: names under which clients reach a server with keys.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await jobs.start()
        try:
            yield
        finally:
            await jobs.drain(jobs.settings.drain_seconds)

    app = FastAPI(title="Hummingbird", docs_url=None, redoc_url=None, lifespan=lifespan)
    app.add_middleware(Guard, keys=keys, allowed_hosts=allowed_hosts)
    _answer_errors(app)
    add_login(app, keys)

    @app.get("/health", tags=["server"])
    async def health() -> Health:
        """The server is alive: always 200. What ails it is said, and what does not answer at all is dead."""
        up = await ready()
        status: Any = "stopping" if jobs.draining else "degraded" if jobs.trouble or not up else "ok"
        return Health(status=status, storage=jobs.trouble or "ok", ready=up)

    @app.get("/ready", tags=["server"], responses={503: {"model": Health, "description": "Not now."}})
    async def get_ready() -> JSONResponse:
        """200 where a new video would be taken and made, else 503."""
        answer = await health()
        return JSONResponse(answer.model_dump(), 200 if answer.status == "ok" else 503)

    def describe(model: ServedModel) -> ModelObject:
        open_ = [v for v in jobs.all() if v.request.model == model.name and not v.finished]
        queue = jobs.queues.get(model.name)
        facts = {name: getattr(model, name) for name in ModelObject.model_fields if hasattr(model, name)}
        if model.compiled_name is not None:
            facts["compiled"] = as_path(model.compiled_name).is_file()
        return ModelObject(
            **facts,
            id=model.name,
            queued=len(open_),
            max_queued=jobs.settings.max_queued,
            max_prompt_characters=jobs.settings.max_prompt_characters,
            step_seconds=queue.step_seconds if queue else None,
        )

    @app.get("/v1/models", tags=["models"], responses=error_answers(*EVERYWHERE))
    async def list_models() -> ModelList:
        """The served models; the first is the default."""
        return ModelList(data=[describe(model) for model in models.values()])

    @app.get("/v1/models/{name}", tags=["models"], responses=error_answers(*EVERYWHERE, 404))
    async def get_model(name: str) -> ModelObject:
        """One served model."""
        if name not in models:
            raise APIError(404, "there is no model of this name", "model", "model_not_found")
        return describe(models[name])

    add_video_routes(app, jobs, models, parse)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(reference_page(app.openapi()))

    @app.api_route(
        "/v1/{rest:path}", methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"], include_in_schema=False
    )
    async def nothing(request: Request, rest: str) -> None:
        """The page is mounted below all routes: without this one, it would answer."""
        allowed = {
            method
            for route in app.routes
            if route.matches(request.scope)[0] is Match.PARTIAL
            for method in getattr(route, "methods", None) or ()
        }
        if allowed:
            raise HTTPException(405, headers={"Allow": ", ".join(sorted(allowed))})
        raise APIError(404, f"there is nothing at /v1/{rest[:80]}")

    _tell_the_truth(app)
    return app


def _answer_errors(app: FastAPI) -> None:
    """Every error in OpenAI's form."""

    def answer(error: APIError, headers: Mapping[str, str] | None = None) -> JSONResponse:
        return JSONResponse(error.as_json(), error.status, {**error.headers(), **(headers or {})})

    @app.exception_handler(APIError)
    async def refuse(_: Request, error: APIError) -> JSONResponse:
        return answer(error)

    @app.exception_handler(HTTPException)
    async def no_route(request: Request, error: HTTPException) -> JSONResponse:
        messages = {
            404: f"there is nothing at {request.url.path[:80]}",
            405: f"{request.method} is not for this path",
        }
        message = messages.get(error.status_code, str(error.detail))
        return answer(APIError(error.status_code, message), error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        detail = error.errors()[0]
        param = str(detail["loc"][-1])
        return answer(APIError(400, f"{param}: {detail['msg']}", param, "invalid_value"))

    @app.exception_handler(OSError)
    async def storage(_: Request, error: OSError) -> JSONResponse:
        logger.error("the storage of the jobs fails", exc_info=error)
        return answer(storage_error("full" if VideoJobs.is_full(error) else "unavailable"))

    @app.exception_handler(Exception)
    async def defect(_: Request, error: Exception) -> JSONResponse:
        message = "the server made a mistake, which its log describes"
        return answer(APIError(500, message, None, "server_error"))


def _tell_the_truth(app: FastAPI) -> None:
    """FastAPI's OpenAPI document names a 422 that never comes: here it is a 400 of the server's own form."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = made()
            refused = {"$ref": "#/components/schemas/ErrorAnswer"}
            for path in document["paths"].values():
                for operation in path.values():
                    if operation["responses"].pop("422", None) is not None:
                        operation["responses"].setdefault(
                            "400",
                            {
                                "description": ERRORS[400],
                                "content": {"application/json": {"schema": refused}},
                            },
                        )
            for name in ("HTTPValidationError", "ValidationError"):
                document["components"]["schemas"].pop(name, None)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
