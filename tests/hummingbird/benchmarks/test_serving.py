"""The benchmark of serving: clients wait for their own video, the probe asks meanwhile, figures follow from both."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hummingbird.benchmarks.serving import serve_benchmark, table
from hummingbird.benchmarks.serving_load import load, offline_share, spread
from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError


class _VideoAnswers(BaseHTTPRequestHandler):
    """A server that makes each video in a tenth of a second, and fails the seed 99."""

    most = open_ = 0
    lock = threading.Lock()

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.lock:
            _VideoAnswers.open_ += 1
            _VideoAnswers.most = max(_VideoAnswers.most, _VideoAnswers.open_)
        time.sleep(0.1)
        with self.lock:
            _VideoAnswers.open_ -= 1
        self._answer(200 if asked["prompt"] != "no" else 507, b"{}")

    def do_GET(self) -> None:
        self._answer(503 if self.path == "/health" else 200, b'{"batch_size": 2}')

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Hummingbird-Video-Id", "video_1")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _VideoAnswers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_every_client_waits_for_its_video_and_the_probe_counts_what_was_refused(url: str) -> None:
    _VideoAnswers.most = 0
    measured = load(url, 4, 8, ["a red circle"], 10)
    assert 1 < _VideoAnswers.most <= 4
    assert measured["passes"] == {2: 4}
    assert 0.1 <= measured["wait"]["median"] <= measured["wait"]["p95"] <= measured["seconds"]
    health, models = measured["probes"]["/health"], measured["probes"]["/v1/models"]
    assert health["refused"] == health["asked"] > 0
    assert models["refused"] == 0


def test_a_video_that_is_not_made_ends_the_benchmark(url: str) -> None:
    with pytest.raises(RuntimeError, match="not made: 507"):
        load(url, 1, 2, ["no"], 10)


def test_the_share_of_offline_counts_the_same_passes() -> None:
    measured = {"passes": {1: 2, 4: 3}, "seconds": 8.0}
    assert offline_share(measured, {1: 0.5, 4: 2.0}, 1) == pytest.approx(7 / 8)
    assert offline_share(measured, {1: 0.5, 4: 2.0}, 2) == pytest.approx(7 / 16)
    assert spread([float(n) for n in range(1, 21)]) == {"median": 10.5, "p95": 19.0, "largest": 20.0}


def test_the_table_has_a_row_for_each_load() -> None:
    seconds = {"median": 0.4, "p95": 0.5, "largest": 0.6}
    one = {
        "clients": 4, "videos_per_second": 2.0, "of_offline": 0.96, "wait": seconds,
        "probes": {"/v1/models": {"p95": 0.02}, "/health": {"p95": 0.01}},
    }  # fmt: skip
    start = {"ready": 20.0, "first_video": 21.0, "compiled": 21.0}
    shown = table({"model": "m", "device": "a CPU", "start": start, "loads": {"2 replicas, busy": [one]}})
    assert "| 2 replicas, busy | 4 | 2.00 | 0.96 | 0.40 / 0.50 s | 20 ms | 10 ms |" in shown
    assert "start: ready in 20.0 s, first video after 21.0 s" in shown


def test_it_serves_on_loopback_alone(settings: Settings) -> None:
    serve = settings.serve.model_copy(update={"host": "0.0.0.0"})
    with pytest.raises(InputError, match="loopback alone"):
        serve_benchmark(settings.model_copy(update={"serve": serve}))
