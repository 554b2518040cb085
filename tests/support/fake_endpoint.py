"""An OpenAI-style endpoint on this machine whose answer is a function of the frames, and which can misbehave."""

import base64
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import cv2
import numpy as np
from hummingbird_data.captions.engines import frames_hash

_WORDS = """
amber birch cedar delta ember fern grove harbor island jade kite lemon maple north ocean pearl
"""
WORDS = _WORDS.split()
Reply = tuple[int, Any] | None


def words_of(text: str) -> str:
    """A caption that stands for a text: hardly any other text has the same."""
    return "a " + " and ".join(random.Random(text).sample(WORDS, 8))


class Endpoint:
    """Answers ``words_of`` the hash of the frames, or of the text where there are none.

    ``misbehave``: given the key of what is asked, how often it was asked before, the port of who asks and the
    temperature, returns a status (0: hang up) and a text to send in place of the answer, or None.
    ``drip``: seconds between the bytes of what it sends, its headers too. ``coding``: that it says its answers have,
    which they do not.
    """

    def __init__(
        self,
        misbehave: Callable[[str, int, int, float], Reply] | None = None,
        slowest: float = 0.0,
        drip: float = 0.0,
        coding: str | None = None,
    ) -> None:
        self.misbehave, self.slowest, self.drip, self.coding = misbehave, slowest, drip, coding
        self.asked: Counter[str] = Counter()
        self.order: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.bodies: list[dict[str, Any]] = []
        self.models = ["tiny"]
        self.url = ""
        self._lock = threading.Lock()

    def answer(self, body: dict[str, Any], port: int) -> tuple[int, Any]:
        content = body["messages"][0]["content"]
        key = content if isinstance(content, str) else frames_hash(np.stack([*map(_frame, content[:-1])]))
        with self._lock:
            before = self.asked[key]
            self.asked[key] += 1
            self.bodies.append(body)
        time.sleep(random.uniform(0, self.slowest))
        reply = self.misbehave(key, before, port, body["temperature"]) if self.misbehave else None
        with self._lock:
            self.order.append(key)
        return reply or (200, words_of(key))


@contextmanager
def serving(endpoint: Endpoint) -> Iterator[Endpoint]:
    """The endpoint with its ``url`` set, until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            endpoint.headers.append(dict(self.headers))
            self._send(200, {"data": [{"id": name} for name in endpoint.models]})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, text = endpoint.answer(body, self.client_address[1])
            if status == 0:
                self.close_connection = True  # and not a word
                return
            choices = [{"message": {"content": text}, "finish_reason": "stop"}] if text is not None else []
            reply = {"choices": choices}
            self._send(status, reply if status == 200 else {"error": text})

        def _send(self, status: int, reply: object) -> None:
            data = json.dumps(reply).encode()
            try:
                if endpoint.drip and self.command == "POST":
                    head = f"HTTP/1.1 {status} OK\r\nContent-Length: {len(data)}\r\n\r\n".encode()
                    for byte in head + data:
                        self.wfile.write(bytes([byte]))
                        self.wfile.flush()
                        time.sleep(endpoint.drip)
                    return
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.send_header("Retry-After", "0")
                if endpoint.coding:
                    self.send_header("Content-Encoding", endpoint.coding)
                self.end_headers()
                self.wfile.write(data)
            except OSError:  # who asked is dead
                self.close_connection = True

        def log_message(self, *arguments: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            pass  # who asked is dead

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    endpoint.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield endpoint
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _frame(part: dict[str, Any]) -> np.ndarray:
    head, data = part["image_url"]["url"].split(",")
    assert head == "data:image/png;base64"
    return cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
