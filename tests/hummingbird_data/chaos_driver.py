"""A driver of curation that can be told when to die: run as a script by the test of chaos.

It has everything imported, and forks a process for each line of JSON on standard input: ``settings``, the
arguments of `Settings`, and ``kill_at``, the number of calls of functions of this project and of pyiceberg after
which the process kills itself with SIGKILL (null: never). It answers with its exit code and the calls counted.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import hummingbird
import hummingbird_data.curate as module
import hummingbird_data.verdicts.judging as judging
import pyiceberg
from hummingbird.config.settings import Settings
from hummingbird_data.captions.caption_stages import CAPTION_COLUMNS
from hummingbird_data.stage import Row

COUNTED = tuple(str(Path(p.__file__).parent) for p in (hummingbird, module, pyiceberg))


def quick_captions(rows: list[Row], _: object, storage: Path) -> dict[str, Row]:
    """Stands for a captioner, whose start takes longer than all else here."""
    blank = dict.fromkeys(CAPTION_COLUMNS)
    sizes = {row["clip_id"]: (storage / row["media_path"]).stat().st_size for row in rows}
    return {
        clip_id: {**blank, "caption": f"a clip of {size} bytes", "caption_model": "quick"}
        for clip_id, size in sizes.items()
    }


def work(request: dict[str, Any], answer: int) -> None:
    calls = 0
    kill_at = request["kill_at"]

    def counting(frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        if event == "call" and frame.f_code.co_filename.startswith(COUNTED):
            calls += 1
            if calls == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    judging.write_captions = quick_captions
    sys.setprofile(counting)
    try:
        module.curate(Settings(**request["settings"]))
    finally:
        sys.setprofile(None)
        os.write(answer, str(calls).encode())


def main() -> None:
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                work(json.loads(line), writer)
                code = 0
            except BaseException:
                import traceback

                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        os.close(writer)
        replies.write(json.dumps({"pid": pid}) + "\n")
        replies.flush()
        _, status = os.waitpid(pid, 0)
        with os.fdopen(reader) as pipe:
            calls = pipe.read()
        replies.write(
            json.dumps({"code": os.waitstatus_to_exitcode(status), "calls": int(calls or 0)}) + "\n"
        )
        replies.flush()


if __name__ == "__main__":
    main()
