"""The engine ``http``: any endpoint that answers OpenAI's ``/chat/completions``; frames go as PNG data URLs.

PNG loses nothing, so the endpoint is shown exactly the frames whose hash is recorded. Every question is a request of
its own, and its answer comes back on that request.
"""

import base64
import logging
import os
import random
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import cv2
import httpx
from hummingbird.core.errors import InputError

from hummingbird_data.captions.engines import AskStage, Engine, answered, failed
from hummingbird_data.reading.clip_frames import Frames
from hummingbird_data.stage import Row

log = logging.getLogger(__name__)

_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_ENDPOINTS = frozenset({401, 403, 404, 405, 429, 502, 503, 504, 529})  # at fault itself, whatever was asked
_LONGEST_WAIT = 60.0  # seconds


class NoAnswerError(Exception):
    """A request failed past its retries. ``down``: because of the endpoint, not of what was asked."""

    def __init__(self, reason: str, down: bool) -> None:
        super().__init__(reason)
        self.down = down


class Client:
    """Requests to one endpoint, with retries. Safe to use from several threads."""

    def __init__(self, engine: Engine, retries: int | None = None) -> None:
        self.engine = engine
        self.settings = engine.endpoint
        self._retries = self.settings.retries if retries is None else retries
        token = os.environ.get(self.settings.token_variable)
        self._http = httpx.Client(
            base_url=f"{self.settings.url}/",
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=httpx.Timeout(self.settings.timeout, connect=min(10.0, self.settings.timeout)),
            limits=httpx.Limits(max_connections=self.settings.concurrency),
        )

    def close(self) -> None:
        self._http.close()

    def models(self) -> list[str] | None:
        """Names of the models that the endpoint serves, or None where it does not tell. Raises NoAnswerError."""
        reply = self._request("GET", "models")
        try:
            return [str(model["id"]) for model in reply["data"]]
        except (KeyError, TypeError):
            return None

    def ask(self, question: str, seen: Frames | None, temperature: float, seed: int) -> tuple[str, bool]:
        """The answer, and whether it was cut because it was too long. Raises NoAnswerError."""
        content: Any = question
        if seen is not None:
            content = [*map(_picture, seen), {"type": "text", "text": question}]
        reply = self._request(
            "POST",
            "chat/completions",
            {
                "model": self.engine.model,
                "messages": [{"role": "user", "content": content}],
                "max_tokens": self.engine.max_tokens,
                "temperature": temperature,
                "seed": seed,
            },
        )
        try:
            choice = reply["choices"][0]
            return str(choice["message"]["content"] or ""), choice.get("finish_reason") == "length"
        except (KeyError, IndexError, TypeError) as error:
            raise NoAnswerError(
                f"the endpoint's answer has no message: {_short(str(reply))}", False
            ) from error

    def _request(self, method: str, path: str, body: Any = None) -> Any:
        for attempt in range(self._retries + 1):
            wait = min(_LONGEST_WAIT, self.settings.backoff * 2**attempt) * random.uniform(0.5, 1)
            try:
                reply = self._http.request(method, path, json=body)
                if reply.is_success:
                    return reply.json()
            except httpx.TimeoutException as error:
                connecting = isinstance(error, httpx.ConnectTimeout)
                problem = NoAnswerError(f"no answer within {self.settings.timeout:g} s", connecting)
            except httpx.TransportError as error:
                problem = NoAnswerError(f"{type(error).__name__}: {error}", True)
            except ValueError as error:
                problem = NoAnswerError(f"the answer is no JSON: {error}", False)
            else:
                status = reply.status_code
                down = status in _ENDPOINTS or reply.is_redirect
                problem = NoAnswerError(f"status {status}: {_short(reply.text)}", down)
                if status not in _AGAIN:
                    raise problem
                wait = max(wait, _asked_to_wait(reply))
            if attempt == self._retries:
                raise problem
            log.info("%s of %s: %s; again in %.1f s", path, self.settings.url, problem, wait)
            time.sleep(wait)
        raise AssertionError("unreachable")


@dataclass
class HttpStage(AskStage):
    """``concurrency`` questions at once; each is one request, its frames read just before it."""

    _client: Client | None = field(default=None, init=False, repr=False)

    def setup(self) -> None:
        self._client = Client(self.engine)

    def process(self, row: Row) -> Iterable[Row]:
        return self.process_batch([row])[0]

    def process_batch(self, rows: Sequence[Row]) -> list[list[Row]]:
        with ThreadPoolExecutor(self.engine.endpoint.concurrency) as threads:
            return [[answer] for answer in threads.map(self._answer, rows)]

    def _answer(self, row: Row) -> Row:
        if self._client is None:
            raise RuntimeError("the stage was not set up")
        try:
            seen = self.engine.look(row)
            text, cut = self._client.ask(row["question"], seen, row["temperature"], row["seed"])
        except NoAnswerError as error:
            return failed(str(error), error.down)
        except Exception as error:  # a clip that cannot be read; its neighbours' answers stay
            return failed(f"{type(error).__name__}: {error}")
        return answered(text, cut, seen)


def check_endpoint(engine: Engine) -> None:
    """Whether the endpoint is there, lets us in and serves the model. Raises InputError."""
    settings = engine.endpoint
    if settings.url is None:
        raise InputError(
            "the engine http needs the endpoint's URL: curate.caption_endpoint.url=http://host:8000/v1"
        )
    client = Client(engine, retries=min(1, settings.retries))
    try:
        served = client.models()
    except NoAnswerError as error:
        if str(error).startswith(("status 401", "status 403")):
            raise InputError(
                f"{settings.url} lets nobody in ({error}): put its token into the environment variable "
                f"{settings.token_variable}"
            ) from error
        if not str(error).startswith(("status 404", "status 405")):
            raise InputError(f"the endpoint {settings.url} does not answer: {error}") from error
        served = None
    finally:
        client.close()
    if served is None:
        log.info("%s does not say which models it serves; %s is taken to be one", settings.url, engine.model)
    elif engine.model not in served:
        raise InputError(
            f"{settings.url} serves no '{engine.model}' but {', '.join(served[:10]) or 'nothing'}"
        )


def _picture(frame: Frames) -> dict[str, Any]:
    written, data = cv2.imencode(".png", frame[..., ::-1])
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
