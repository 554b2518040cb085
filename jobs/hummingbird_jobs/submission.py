"""A verb as a job of a Ray cluster: submitted once, followed to its end, stopped with Ctrl-C."""

import argparse
import asyncio
import hashlib
import logging
import os
import sys
import time
from collections.abc import Sequence
from typing import Any, NoReturn

from hummingbird.config.command_line import BAD_INPUT, INTERRUPTED
from hummingbird.config.settings import settings_hash
from hummingbird.core.errors import InputError
from hummingbird.core.masking import mask_text
from hummingbird.core.source_version import PACKAGES, SUBMITTED, package_folder, source_version

from hummingbird_jobs.submitted_command import SubmittedCommand, submitted_command

LEFT_OUT = ("**/weights/**", "**/__pycache__/**", "**/*.png")
NO_AGENT = "No available agent"
AGENT_SECONDS = 120.0
_POLL_SECONDS = 1.0


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """``jobs/submit.py [--address URL] [--id NAME] [--no-wait] [--with-code] VERB [OPTIONS]``.

    Exits as the verb does: 0 done, 1 a failure, 2 bad input, 130 interrupted.
    """
    parser = argparse.ArgumentParser(
        prog="jobs/submit.py",
        description="Submits a verb to a Ray cluster and follows its log; Ctrl-C stops the job.",
    )
    parser.add_argument(
        "--address", help="dashboard of the cluster (RAY_API_SERVER_ADDRESS, http://127.0.0.1:8265)"
    )
    parser.add_argument(
        "--id", help="id of the job; none: of verb and settings, so that the same call is the same job"
    )
    parser.add_argument("--no-wait", action="store_true", help="print the id and end; the job goes on")
    parser.add_argument(
        "--with-code",
        action="store_true",
        help="run this machine's code in place of the cluster's; weights stay",
    )
    parser.add_argument("--python", default="python", help="the cluster's Python (python)")
    parser.add_argument(
        "command", nargs=argparse.REMAINDER, metavar="VERB [OPTIONS]", help="as hummingbird VERB"
    )
    args = parser.parse_args(argv)
    try:
        sys.exit(_submit(args, submitted_command(args.command)))
    except InputError as error:
        print(f"error: {mask_text(str(error))}", file=sys.stderr)
        sys.exit(BAD_INPUT)


def job_id(command: SubmittedCommand) -> str:
    """The same for the same verb, settings, storage and words."""
    text = "\0".join([settings_hash(command.settings), *command.arguments])
    return f"{command.verb}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def runtime_env(with_code: bool) -> dict[str, Any]:
    """What travels with the job: nothing but the version that is expected, or the packages without their weights."""
    environment: dict[str, Any] = {"env_vars": {SUBMITTED: source_version()}}
    if with_code:
        folders = [folder for name in PACKAGES if (folder := package_folder(name)) is not None]
        environment |= {"py_modules": [str(folder) for folder in folders], "excludes": list(LEFT_OUT)}
        size = sum(
            path.stat().st_size
            for folder in folders
            for path in folder.rglob("*")
            if path.is_file()
            and not any(path.match(pattern) for pattern in ("*.png", "*.pyc"))
            and "weights" not in path.relative_to(folder).parts
        )
        print(f"sending {size / 1e6:.1f} MB of code; weights are the cluster's", flush=True)
    return environment


def _submit(args: argparse.Namespace, command: SubmittedCommand) -> int:
    from ray.exceptions import AuthenticationError
    from ray.job_submission import JobStatus, JobSubmissionClient

    address = args.address or os.environ.get("RAY_API_SERVER_ADDRESS") or "http://127.0.0.1:8265"
    os.environ["RAY_API_SERVER_ADDRESS"] = address  # Ray asks the environment first
    logging.getLogger("ray.dashboard.modules.job.sdk").setLevel(logging.WARNING)
    try:
        client: Any = JobSubmissionClient(address)
    except AuthenticationError as error:
        raise InputError(
            f"the cluster at {address} does not take the token; set RAY_AUTH_TOKEN, or RAY_AUTH_TOKEN_PATH, to that of "
            "the cluster (and RAY_AUTH_MODE=token)"
        ) from error
    except (ConnectionError, RuntimeError) as error:
        raise InputError(
            f"no Ray dashboard answers at {address} ({_first_line(error)}): start the cluster, or name another with "
            "--address"
        ) from error
    name = args.id or job_id(command)
    known = {job.submission_id: job.status for job in client.list_jobs()}
    if name in known and not known[name].is_terminal():
        print(f"the job {name} is {known[name].value.lower()} already", flush=True)
    else:
        if name in known:
            client.delete_job(name)  # it has ended; the same verb goes on from what it left
        hand_over(
            client,
            entrypoint=command.entrypoint(args.python),
            submission_id=name,
            runtime_env=runtime_env(args.with_code),
            metadata={"verb": command.verb, "settings": settings_hash(command.settings)[:12]},
        )
        print(f"submitted {name}", flush=True)
    if args.no_wait:
        return 0
    try:
        _follow(client, name)
    except KeyboardInterrupt:
        print(f"stopping {name}", file=sys.stderr, flush=True)
        client.stop_job(name)
        _wait(client, name)
        return INTERRUPTED
    info = _wait(client, name)
    if info.status == JobStatus.SUCCEEDED:
        return 0
    if info.status == JobStatus.STOPPED:
        print(f"{name} was stopped", file=sys.stderr)
        return INTERRUPTED
    if info.driver_exit_code is None:
        print(f"error: {name} failed: {mask_text(info.message or '')}", file=sys.stderr)
    return int(info.driver_exit_code or 1)


def hand_over(client: Any, seconds: float = AGENT_SECONDS, **job: Any) -> None:
    """Submits a job. A head that is young or busy says for a while that it has nobody to run it.

    Raises:
        InputError: it still says so after ``seconds``.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            client.submit_job(**job)
            return
        except RuntimeError as error:
            if NO_AGENT not in str(error):
                raise
            if time.monotonic() > deadline:
                raise InputError(
                    f"the cluster has taken no job for {seconds:.0f} s ({NO_AGENT}): see whether its head is "
                    "overloaded, and submit again"
                ) from error
        time.sleep(_POLL_SECONDS)


def _follow(client: Any, name: str) -> None:
    async def follow() -> None:
        async for lines in client.tail_job_logs(name):
            print(lines, end="", flush=True)

    asyncio.run(follow())


def _wait(client: Any, name: str) -> Any:
    while not (info := client.get_job_info(name)).status.is_terminal():
        time.sleep(_POLL_SECONDS)
    return info


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
