"""The proxy's limits on connections, on a real uvicorn server."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from hummingbird_serve import connections
from hummingbird_serve.connections import ConnectionLimits, LimitedProtocol, limit_connections
from uvicorn.config import HTTP_PROTOCOLS

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def answer(_: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@asynccontextmanager
async def listening() -> AsyncIterator[int]:
    config = uvicorn.Config(answer, port=0, lifespan="off", log_config=None, timeout_keep_alive=60)
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await running


@pytest.fixture
def limited(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[int], Awaitable[None]]], None]:
    monkeypatch.setenv(connections.VARIABLE, ConnectionLimits(all=8, client=5, request_seconds=0.4).as_text())
    monkeypatch.setitem(HTTP_PROTOCOLS, "auto", HTTP_PROTOCOLS["auto"])
    assert limit_connections() == []

    def run(test: Callable[[int], Awaitable[None]]) -> None:
        async def served() -> None:
            async with asyncio.timeout(20), listening() as port:
                await test(port)

        asyncio.run(served())
        assert LimitedProtocol.open.total() == 0

    return run


async def is_closed(reader: asyncio.StreamReader) -> bool:
    try:
        return await asyncio.wait_for(reader.read(), 2) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


async def ask(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(REQUEST)
    status = await reader.readline()
    writer.close()
    return status


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET / HT",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhal",
        REQUEST + b"GET / HTTP/1.1\r\nHo",
    ],
)
def test_what_does_not_come_whole_in_time_is_closed(limited: Any, sent: bytes) -> None:
    async def test(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        started = time.monotonic()
        writer.write(sent)
        if sent.startswith(REQUEST):
            await reader.readuntil(b"ok")
        assert await is_closed(reader)
        assert 0.3 < time.monotonic() - started < 2
        writer.close()

    limited(test)


def test_slow_but_steady_requests_on_one_connection_are_answered(limited: Any) -> None:
    async def test(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(3):
            writer.write(REQUEST[:9])
            await asyncio.sleep(0.2)
            writer.write(REQUEST[9:])
            assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
            await asyncio.sleep(0.5)  # idle between requests is uvicorn's to bound
        writer.close()
        await asyncio.sleep(0.05)

    limited(test)


def test_a_client_with_many_connections_gets_no_more(limited: Any) -> None:
    async def test(port: int) -> None:
        idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
        await asyncio.sleep(0.05)
        assert LimitedProtocol.open["127.0.0.1"] == 5
        for reader, writer in idle:
            assert await is_closed(reader)
            writer.close()
        assert (await ask(port)).startswith(b"HTTP/1.1 200")
        await asyncio.sleep(0.05)

    limited(test)
