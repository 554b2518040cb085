"""Child processes for work on untrusted bytes: a crash, hang or greed costs one file.

The server process (this module run as a script) has everything imported and forks a fresh worker for each
job, so a job costs milliseconds, not a start of Python. Forking the caller itself would not be safe: a Ray
worker has threads.
"""

import ctypes
import json
import math
import os
import resource
import signal
import subprocess
import sys
import threading
from importlib import import_module
from pathlib import Path
from typing import Any

from hummingbird_data.stage import StageError

_MEGABYTE = 1 << 20
_PR_SET_PDEATHSIG = 1
_GRACE = 30.0  # seconds for the server to report before it is given up itself


class ChildProcess:
    """Runs functions, named as "module:function", each in a fresh process; JSON goes in and out.

    ``function`` is the one where a job names none. ``seconds`` of processor time, where a job is not allowed others,
    and ``megabytes`` of memory on top of the libraries' own are the limits of a job. One that waits without working
    is stopped after ``patience`` times as many seconds: a busy machine must not look like a hang.
    """

    def __init__(self, function: str, seconds: float, megabytes: int, patience: float = 10.0) -> None:
        self.function, self.seconds, self.megabytes, self.patience = function, seconds, megabytes, patience
        self._server: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Starts the server. Raises RuntimeError when it cannot run here, whatever the job."""
        self._started()

    def run(
        self, job: dict[str, Any], function: str | None = None, seconds: float | None = None
    ) -> dict[str, Any]:
        """The job's result, within ``seconds`` of processor time. Raises `StageError` when the job failed, crashed,
        hung or took too much."""
        seconds = seconds or self.seconds
        request = {"function": function or self.function, "job": job, "seconds": seconds}
        reply = self._ask({**request, "wall": self.patience * seconds})
        if "error" in reply:
            raise StageError(reply["stage"], reply["error"])
        result: dict[str, Any] = reply["result"]
        return result

    def close(self) -> None:
        if self._server is not None:
            self._server.kill()
            self._server.wait()
            for pipe in (self._server.stdin, self._server.stdout):
                if pipe is not None:
                    pipe.close()
            self._server = None

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        server = self._started()
        assert server.stdin is not None
        assert server.stdout is not None
        watchdog = threading.Timer(request["wall"] + _GRACE, server.kill)
        watchdog.start()
        try:
            server.stdin.write(json.dumps(request) + "\n")
            server.stdin.flush()
            line = server.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            watchdog.cancel()
        if not line:
            code = server.wait()
            self.close()
            raise StageError("decode", f"the decoder's process ended (exit code {code})")
        reply: dict[str, Any] = json.loads(line)
        return reply

    def _started(self) -> subprocess.Popen[str]:
        if self._server is None or self._server.poll() is not None:
            self.close()
            paths = [path for path in sys.path if path]
            self._server = subprocess.Popen(
                [sys.executable, "-m", "hummingbird_data.reading.child", self.function, str(self.megabytes)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            )
            assert self._server.stdout is not None
            if not self._server.stdout.readline():
                code = self._server.wait()
                self.close()
                raise RuntimeError(f"the server of child processes does not start (exit code {code})")
        return self._server


def _serve(name: str, megabytes: int) -> None:
    """Answers requests, one JSON line each, until the caller is gone. What ``name`` needs is imported once."""
    _function(name)
    # Results travel on the real standard output; whatever a library prints goes to standard error.
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    replies.write("ready\n")
    replies.flush()
    for line in sys.stdin:
        reply = _isolated(megabytes=megabytes, **json.loads(line))
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


def _function(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)


def _isolated(
    function: str, job: dict[str, Any], seconds: float, wall: float, megabytes: int
) -> dict[str, Any]:
    """Forks, runs, waits."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _work(function, job, writer, seconds, megabytes)
    os.close(writer)
    timed_out = threading.Event()

    def stop() -> None:
        timed_out.set()
        os.kill(pid, signal.SIGKILL)

    watchdog = threading.Timer(wall, stop)
    watchdog.start()
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    watchdog.cancel()
    watchdog.join()  # so that it can never kill a process that got the same id later
    _, status = os.waitpid(pid, 0)
    if timed_out.is_set():
        return {"stage": "decode", "error": f"hung: no end after {wall:.0f} s"}
    if os.WIFSIGNALED(status):
        if os.WTERMSIG(status) == signal.SIGXCPU:
            return {"stage": "decode", "error": f"more than {seconds:.0f} s of processor time"}
        name = signal.Signals(os.WTERMSIG(status)).name
        return {"stage": "decode", "error": f"the decoder crashed ({name})"}
    if not text:
        return {"stage": "decode", "error": f"the decoder ended with code {os.WEXITSTATUS(status)}"}
    reply: dict[str, Any] = json.loads(text)
    return reply


def _work(function: str, job: dict[str, Any], writer: int, seconds: float, megabytes: int) -> None:
    """In the fork: limits, the job, its reply; never returns."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    own = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limit = own + megabytes * _MEGABYTE
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    processor = max(1, math.ceil(seconds))
    resource.setrlimit(resource.RLIMIT_CPU, (processor, processor + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        reply = {"result": _function(function)(**job)}
    except StageError as error:
        reply = {"stage": error.stage, "error": str(error)}
    except MemoryError:
        reply = {"stage": "decode", "error": f"more than {megabytes} MB of memory"}
    except Exception as error:
        reply = {"stage": "decode", "error": f"{type(error).__name__}: {error}"}
    with os.fdopen(writer, "w") as pipe:
        pipe.write(json.dumps(reply))
    os._exit(0)


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]))
