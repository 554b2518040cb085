"""ConnectionLimits on connections, kept where the sockets are: in the processes of Ray Serve's proxy.

Serve has no setting for them. It calls `limit_connections` when a proxy starts (that is what the environment variable
``RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH`` is for), which puts a protocol with limits in the place of uvicorn's own.
The limits themselves are in ``HUMMINGBIRD_CONNECTIONS`` (`ConnectionLimits.as_text`), because settings do not reach
the proxy.
"""

import asyncio
import json
import logging
import math
import os
import resource
import time
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from uvicorn.config import HTTP_PROTOCOLS
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HOOK = "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"
VARIABLE = "HUMMINGBIRD_CONNECTIONS"

logger = logging.getLogger("ray.serve")


@dataclass(frozen=True)
class ConnectionLimits:
    """What a proxy lets be open, and for how long."""

    all: int = 900
    """Connections; fewer than the requests that an ingress takes, so that none waits behind those that are open."""
    client: int = 128
    """Connections of one address."""
    request_seconds: float = 20.0
    """From the opening of a connection, or the first byte of a later request, until the request is there whole."""

    def as_text(self) -> str:
        """For the environment."""
        return json.dumps(asdict(self))

    @classmethod
    def from_environment(cls) -> "ConnectionLimits":
        """Those of the environment, else the defaults."""
        return cls(**json.loads(os.environ.get(VARIABLE, "{}")))


def set_environment(limits: ConnectionLimits) -> None:
    """To be called before Ray starts: its processes inherit the environment."""
    os.environ.setdefault(HOOK, f"{__name__}:limit_connections")
    os.environ[VARIABLE] = limits.as_text()


def limit_connections() -> list[Any]:
    """Called in each proxy before it listens; returns the middlewares to add, which are none."""
    limits = ConnectionLimits.from_environment()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limits.all * 2 + 512  # each request has a connection to a replica, too
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
    LimitedProtocol.limits = limits
    HTTP_PROTOCOLS["auto"] = f"{__name__}:LimitedProtocol"
    return []


class LimitedProtocol(HttpToolsProtocol):
    """Uvicorn's HTTP connection, closed when its client has too many, or takes too long to send a request."""

    limits = ConnectionLimits()
    open: ClassVar[Counter[str]] = Counter()
    """Connections by address."""
    warned = -math.inf

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._address: str | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._coming = True

    def on_message_begin(self) -> None:
        """Called by the parser at the first byte of a request."""
        self._coming = True
        super().on_message_begin()

    def on_message_complete(self) -> None:
        """Called by the parser when a request is there whole."""
        self._coming = False
        super().on_message_complete()

    def connection_made(self, transport: Any) -> None:
        """Counts the connection; one too many is closed at once."""
        address = str((transport.get_extra_info("peername") or ("",))[0])
        if self.open[address] >= self.limits.client or self.open.total() >= self.limits.all:
            self._warn(address)
            transport.abort()
            return
        self._address = address
        self.open[address] += 1
        super().connection_made(transport)
        self._expect()

    def data_received(self, data: bytes) -> None:
        """Takes what has come, and watches that the rest of a request follows in time."""
        if self._address is None:
            return
        super().data_received(data)
        if not self._coming:
            self._expect_nothing()
        elif self._deadline is None:
            self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        """Counts it no more."""
        self._expect_nothing()
        if self._address is None:
            return
        self.open[self._address] -= 1
        if self.open[self._address] <= 0:
            del self.open[self._address]
        self._address = None
        super().connection_lost(exc)

    @classmethod
    def _warn(cls, address: str) -> None:
        """Once a minute: a log is full before long, too."""
        if time.monotonic() - cls.warned > 60:
            cls.warned = time.monotonic()
            logger.warning("too many connections, of %s among others: new ones are refused", address)

    def _expect(self) -> None:
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(self.limits.request_seconds, self._close)

    def _expect_nothing(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _close(self) -> None:
        self._deadline = None
        self.transport.abort()
