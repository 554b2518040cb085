"""The engine ``http``: any endpoint that answers OpenAI's ``/chat/completions``; frames go as PNG data URLs.

PNG loses nothing, so the endpoint is shown exactly the frames whose hash is recorded. Every question is a request of
its own, and its answer comes back on that request. A time limit is for the whole answer, however slowly it drips.
(OpenAI's own client has time limits for each read alone, and its retries tell nothing of whose fault a failure is; what
would be left for it is one POST.)
"""

import asyncio
import base64
import json
import logging
import os
import random
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import cv2
import httpx
import numpy as np
from hummingbird.core.errors import InputError

from hummingbird_data.captions.engines import (
    AT_ENDPOINT,
    CaptionEngine,
    CaptionModel,
    EngineSpec,
    answered,
    failed,
)
from hummingbird_data.reading.clip_frames import Frames
from hummingbird_data.stage import Row

log = logging.getLogger(__name__)
Result = TypeVar("Result")

_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_ENDPOINTS = frozenset({401, 403, 404, 405, 429, 502, 503, 504, 529})  # at fault itself, whatever was asked
_LONGEST_WAIT = 60.0  # seconds
_CONNECTING = 10.0  # seconds
_CHECKING = 30.0  # seconds that an endpoint has to name its models
_LARGEST = 16 << 20  # bytes of an answer
_SILENT_ROUNDS = 2  # time-outs in a row, of each request at once, after which further tries are given up


class NoAnswerError(Exception):
    """A request failed past its retries. ``down``: because of the endpoint, not of what was asked. ``empty``: it was
    answered, without a word."""

    def __init__(self, reason: str, down: bool, empty: bool = False) -> None:
        super().__init__(reason)
        self.down, self.empty = down, empty


@dataclass
class EndpointHealth:
    """What is known of an endpoint: ``answers`` so far, ``spoken``: those with a word in them, ``silent`` time-outs
    since the last, ``dead``: why it is taken to be down."""

    answers: int = 0
    spoken: int = 0
    silent: int = 0
    dead: str | None = None


class EndpointClient:
    """Requests to one endpoint, with retries, within one event loop: ``async with EndpointClient(spec) as client``."""

    def __init__(
        self,
        spec: EngineSpec,
        health: EndpointHealth | None = None,
        retries: int | None = None,
        seconds: float | None = None,
    ) -> None:
        self.spec = spec
        self.settings = spec.endpoint
        self.health = health or EndpointHealth()
        self._retries = self.settings.retries if retries is None else retries
        self._seconds = self.settings.timeout if seconds is None else seconds
        self._probing = asyncio.Lock()
        token = os.environ.get(self.settings.token_variable)
        self._http = httpx.AsyncClient(
            base_url=f"{self.settings.url}/",
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=httpx.Timeout(None, connect=min(_CONNECTING, self._seconds)),
            limits=httpx.Limits(max_connections=self.settings.concurrency + 1),
        )

    async def __aenter__(self) -> "EndpointClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def models(self) -> list[str] | None:
        """Names of the models that the endpoint serves, or None where it does not tell. Raises NoAnswerError."""
        reply = await self._request("GET", "models", None, self._retries)
        try:
            return [str(model["id"]) for model in reply["data"]]
        except (KeyError, TypeError):
            return None

    async def ask(
        self, question: str, frames: Frames | None, temperature: float, seed: int
    ) -> tuple[str, bool]:
        """The answer, and whether it was cut: it was too long, or withheld in part. One without a word is an answer
        where others have words.

        Raises:
            NoAnswerError: there is none past the retries. Where nothing else was answered meanwhile, the endpoint is
                asked about a plain picture of the same size: one that does not answer that either is down.
        """
        before = self.health.answers
        try:
            return await self._ask(question, frames, temperature, seed, self._retries)
        except NoAnswerError as error:
            if error.down:
                self.health.dead = self.health.dead or str(error)
                raise
            async with self._probing:
                unheard = not self.health.spoken if error.empty else self.health.answers == before
                if self.health.dead is None and unheard:
                    await self._probe(question, frames, error)
            if self.health.dead is not None:
                raise NoAnswerError(self.health.dead, True) from error
            if error.empty:
                return "", False
            raise

    async def _probe(self, question: str, frames: Frames | None, error: NoAnswerError) -> None:
        plain = None if frames is None else np.broadcast_to(_ramp(*frames.shape[1:3]), frames.shape)
        try:
            await self._ask("Say yes." if frames is None else question, plain, 0.0, 0, 0)
        except NoAnswerError as again:
            self.health.dead = f"it answers nobody: {error}"
            if str(again) != str(error):
                self.health.dead += f"; of a plain picture: {again}"

    async def _ask(
        self, question: str, frames: Frames | None, temperature: float, seed: int, retries: int
    ) -> tuple[str, bool]:
        content: Any = question
        if frames is not None:
            pictures = await asyncio.to_thread(lambda: [*map(_picture, frames)])
            content = [*pictures, {"type": "text", "text": question}]
        reply = await self._request(
            "POST",
            "chat/completions",
            {
                "model": self.spec.model,
                "messages": [{"role": "user", "content": content}],
                "max_tokens": self.spec.max_tokens,
                "temperature": temperature,
                "seed": seed,
            },
            retries,
        )
        try:
            choice = reply["choices"][0]
            text = _said(choice["message"]["content"])
            cut = choice.get("finish_reason") in ("length", "content_filter")
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise NoAnswerError(
                f"the endpoint's answer has no message: {_short(str(reply))}", False
            ) from error
        self.health.answers += 1
        self.health.silent = 0
        self.health.spoken += bool(text.strip())
        if not self.health.spoken:
            ended = choice.get("finish_reason")
            raise NoAnswerError(f"the endpoint's answer is empty (finish_reason: {ended})", False, empty=True)
        return text, cut

    async def _request(self, method: str, path: str, body: Any, retries: int) -> Any:
        for attempt in range(retries + 1):
            if self.health.dead is not None:
                raise NoAnswerError(self.health.dead, True)
            wait = min(_LONGEST_WAIT, self.settings.backoff * 2**attempt) * random.uniform(0.5, 1)
            try:
                async with asyncio.timeout(self._seconds):
                    reply, content = await self._exchange(method, path, body)
                if reply.is_success:
                    return json.loads(content)
            except TimeoutError:
                self.health.silent += 1
                problem = NoAnswerError(f"no whole answer within {self._seconds:g} s", False)
            except httpx.RequestError as error:  # among them that it does not keep to the coding it names
                problem = NoAnswerError(f"{type(error).__name__}: {error}", True)
            except ValueError as error:
                problem = NoAnswerError(f"the answer is no JSON: {error}", False)
            else:
                status = reply.status_code
                down = status in _ENDPOINTS or reply.is_redirect
                problem = NoAnswerError(f"status {status}: {_short(content.decode(errors='replace'))}", down)
                if status not in _AGAIN:
                    raise problem
                wait = max(wait, _asked_to_wait(reply))
            if attempt == retries or self.health.silent >= _SILENT_ROUNDS * self.settings.concurrency:
                raise problem
            log.info("%s of %s: %s; again in %.1f s", path, self.settings.url, problem, wait)
            await asyncio.sleep(wait)
        raise AssertionError("unreachable")

    async def _exchange(self, method: str, path: str, body: Any) -> tuple[httpx.Response, bytes]:
        content = bytearray()
        async with self._http.stream(method, path, json=body) as reply:
            async for chunk in reply.aiter_bytes():
                content += chunk
                if len(content) > _LARGEST:
                    raise ValueError(f"it is longer than {_LARGEST >> 20} MiB")
        return reply, bytes(content)


class HttpEngine(CaptionEngine):
    """``concurrency`` questions at once; each is one request, its frames read just before it.

    Raises:
        InputError: the settings have no URL.
    """

    def __init__(self, settings: Any, spec: EngineSpec) -> None:
        super().__init__(settings, spec)
        if spec.endpoint.url is None:
            step = "caption" if spec.part == "captioner" else "rewrite"
            raise InputError(f"the engine http needs a URL: curate.{step}_endpoint.url=http://host:8000/v1")
        self.gpus, self.batch_rows = 0.0, 4 * spec.endpoint.concurrency
        self._health = EndpointHealth()

    @property
    def identity(self) -> CaptionModel:
        """By its name at the endpoint, whatever the endpoint holds under it."""
        return CaptionModel(self.spec.model, AT_ENDPOINT + self.spec.model, self.spec.endpoint.licence)

    def check(self) -> None:
        """Whether the endpoint is there, lets us in and serves the model. Raises InputError."""
        settings, model = self.spec.endpoint, self.spec.model
        try:
            served = _wait_for(self._models())
        except NoAnswerError as error:
            if str(error).startswith(("status 401", "status 403")):
                raise InputError(
                    f"{settings.url} lets nobody in ({error}): put its token into the environment variable "
                    f"{settings.token_variable}"
                ) from error
            if not str(error).startswith(("status 404", "status 405")):
                raise InputError(f"the endpoint {settings.url} does not answer: {error}") from error
            served = None
        if served is None:
            log.info("%s does not say which models it serves; %s is taken to be one", settings.url, model)
        elif model not in served:
            raise InputError(f"{settings.url} serves no '{model}' but {', '.join(served[:10]) or 'nothing'}")

    def answers(self, rows: Sequence[Row]) -> list[Row]:
        return _wait_for(self._answers(rows))

    async def _models(self) -> list[str] | None:
        patience = self.spec.endpoint
        seconds = min(_CHECKING, patience.timeout)
        async with EndpointClient(self.spec, retries=min(1, patience.retries), seconds=seconds) as client:
            return await client.models()

    async def _answers(self, rows: Sequence[Row]) -> list[Row]:
        places = asyncio.Semaphore(self.spec.endpoint.concurrency)
        async with EndpointClient(self.spec, self._health) as client:
            return await asyncio.gather(*(self._answer(row, client, places) for row in rows))

    async def _answer(self, row: Row, client: EndpointClient, places: asyncio.Semaphore) -> Row:
        async with places:
            try:
                frames = await asyncio.to_thread(self.look, row)
                text, cut = await client.ask(row["question"], frames, row["temperature"], row["seed"])
            except NoAnswerError as error:
                return failed(str(error), error.down)
            except Exception as error:  # a clip that cannot be read; its neighbors' answers stay
                return failed(f"{type(error).__name__}: {error}")
            return answered(text, cut, frames)


def _said(content: Any) -> str:
    """The text of a message: as it is, none, or in parts. Raises TypeError for anything else."""
    if isinstance(content, list):
        return "".join(part["text"] for part in content if part["type"] in ("text", "output_text"))
    if content is not None and not isinstance(content, str):
        raise TypeError("the content of a message is text")
    return content or ""


def _wait_for(work: Coroutine[Any, Any, Result]) -> Result:
    """The result of ``work``, in an event loop of its own, also where this thread runs one already."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def _ramp(height: int, width: int) -> Frames:
    """A plain picture (H, W, 3): dark at the left, light at the right."""
    ramp = np.linspace(40, 215, width).astype(np.uint8)
    return np.broadcast_to(ramp[None, :, None], (height, width, 3))


def _picture(frame: Frames) -> dict[str, Any]:
    written, data = cv2.imencode(".png", np.ascontiguousarray(frame[..., ::-1]))
    if not written:
        raise ValueError(f"cannot write a frame of shape {frame.shape} as PNG")
    text = base64.b64encode(data.tobytes()).decode()
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{text}"}}


def _asked_to_wait(reply: httpx.Response) -> float:
    """Seconds that the endpoint asks to wait, within reason."""
    try:
        return min(_LONGEST_WAIT, float(reply.headers.get("retry-after", "0")))
    except ValueError:  # a date
        return 0.0


def _short(text: str) -> str:
    return " ".join(text.split())[:200]
