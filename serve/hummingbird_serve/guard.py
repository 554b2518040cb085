"""Who is let in: the ASGI middleware before all routes, the page's included."""

import ipaddress
import socket
from collections.abc import Collection
from urllib.parse import SplitResult, urlsplit

from fastapi.responses import JSONResponse, RedirectResponse
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hummingbird_serve.jobs import Asker
from hummingbird_serve.keys import KeyRing
from hummingbird_serve.requests import APIError

MAX_BODY_BYTES = 64 * 1024
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
COOKIE = "hummingbird_session"
OPEN = frozenset({"/health", "/ready", "/login"})
"""Paths that need no key."""
ASKER = "hummingbird.asker"
"""Where the scope of a request says who asks (`Asker`)."""
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # With no-referrer, browsers would send forms of our own with "Origin: null".
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    # Gradio's page is made by scripts within the page; nothing comes from, or goes to, another server.
    "Content-Security-Policy": "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; object-src 'none'; "
    "base-uri 'self'; form-action 'self'; frame-ancestors 'none'",
}


class Guard:
    """Checks host, origin, size and key of a request, and sets the headers of every answer.

    Without keys the server is one of loopback, but every web page that its user visits can send requests to it: so
    it refuses a ``Host`` that is not loopback (a name rebound to 127.0.0.1). With keys, ``Host`` must be an address,
    a name of this machine, or one of the settings. Requests from other sites' pages are refused in either case.

    Args:
        app: what is guarded.
        keys: who may ask; empty: everybody on this machine.
        allowed_hosts: names in ``Host`` beside addresses and the machine's own; "*": any.
    """

    def __init__(self, app: ASGIApp, keys: KeyRing, allowed_hosts: Collection[str] = ()) -> None:
        self.app, self.keys = app, keys
        own = {socket.gethostname(), socket.getfqdn()}
        self.hosts = {name.lower() for name in (*LOOPBACK, *allowed_hosts, *own)} if keys else LOOPBACK
        self.any_host = bool(keys) and "*" in allowed_hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or answers it with a refusal."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # nothing here speaks over websockets
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        request = Request(scope)
        headed = _with_headers(send)
        try:
            self._check(request)
        except APIError as error:
            answer = JSONResponse(error.as_json(), error.status, error.headers())
            if error.status == 401 and _is_page(request):
                answer = RedirectResponse("/login", 303)  # type: ignore[assignment]
            await answer(scope, receive, headed)
            return
        await self.app(scope, _bounded(receive), headed)

    def _check(self, request: Request) -> None:
        length = request.headers.get("content-length", "0")
        if not (length.isascii() and length.isdecimal()) or int(length[:18]) > MAX_BODY_BYTES:
            raise APIError(413, f"the body is larger than {MAX_BODY_BYTES} bytes", None, "body_too_large")
        self._check_host(request)
        self._check_origin(request)
        if not self.keys or request.url.path in OPEN:
            request.scope[ASKER] = Asker()
            return
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        cookie = request.cookies.get(COOKIE)
        key = self.keys.of_session(cookie) if cookie and not token else None
        if key is None:
            if scheme.lower() != "bearer" or not token:
                raise APIError(401, "send an API key: Authorization: Bearer KEY", None, "missing_api_key")
            key = self.keys.identify(token.strip(), address_of(request))
        if request.url.path.startswith("/v1/"):
            self.keys.count_request(key)
        request.scope[ASKER] = Asker(key.name, key.max_queued)

    def _check_host(self, request: Request) -> None:
        host = _address(f"//{request.headers.get('host', '')}")
        name = (host.hostname or "").lower() if host is not None else ""
        if self.any_host or name in self.hosts or (self.keys and _is_address(name)):
            return
        known = (
            "127.0.0.1 and localhost"
            if not self.keys
            else "its addresses and the names of serve.allowed_hosts"
        )
        raise APIError(403, f"this server answers only under {known}", None, "foreign_host")

    @staticmethod
    def _check_origin(request: Request) -> None:
        """A browser says whose page sends a request; other programs say nothing, and have no cookie to misuse."""
        foreign = APIError(403, "requests from other web pages are refused", None, "foreign_origin")
        if request.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            links = request.headers.get("sec-fetch-mode") == "navigate" and request.method in SAFE_METHODS
            if not links:
                raise foreign
        origin = request.headers.get("origin")
        if origin is None:
            return
        page = _address(origin)
        if page is None or not page.netloc or page.netloc != request.headers.get("host"):
            raise foreign


def asker_of(scope: Scope) -> Asker:
    """Who sends a request that the guard let in."""
    asker = scope[ASKER]
    assert isinstance(asker, Asker)
    return asker


def address_of(request: Request) -> str:
    """The address of the client, or of the proxy before the server."""
    return request.client.host if request.client else ""


def _is_page(request: Request) -> bool:
    """Whether a browser asks for a page to show."""
    accepts = "text/html" in request.headers.get("accept", "")
    return request.method == "GET" and accepts and not request.url.path.startswith("/v1/")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _address(url: str) -> SplitResult | None:
    """The parts of an address; none where it is not one."""
    try:
        return urlsplit(url)
    except ValueError:  # such as "//[::1"
        return None


def _with_headers(send: Send) -> Send:
    """Adds the headers of protection, and takes away what lets other sites read answers or use cookies."""

    async def headed(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=list(message.get("headers", [])))
            for name in [name for name in headers if name.lower().startswith("access-control-")]:
                del headers[name]
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            lax = [
                (
                    name,
                    value.replace(b"SameSite=none", b"SameSite=lax").replace(
                        b"SameSite=None", b"SameSite=lax"
                    ),
                )
                if name == b"set-cookie"
                else (name, value)
                for name, value in headers.raw
            ]
            message = {**message, "headers": lax}
        await send(message)

    return headed


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
