"""The Ray Serve application: generators behind one ingress that has the API and the page."""

import asyncio
import ipaddress
import math
import os
import socket
import threading
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextvars import Context
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from hummingbird.config.cluster import connect
from hummingbird.config.loading import load_settings, merge_settings, read_config
from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.core.scratch import work_folder
from ray import serve
from ray.exceptions import RayError, RayTaskError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle
from ray.serve.schema import LoggingConfig

from hummingbird_serve.background import start_compiling
from hummingbird_serve.connections import ConnectionLimits, set_environment
from hummingbird_serve.generator import Generator, GeneratorSettings
from hummingbird_serve.jobs import VideoJobs
from hummingbird_serve.keys import KEYS, TOKEN, ApiKey, KeyRing, check_names, environment_keys, read_key_file
from hummingbird_serve.metrics import log_jobs
from hummingbird_serve.models import compile_settings, offered_models, token_counter
from hummingbird_serve.policy import load_policy
from hummingbird_serve.requests import Event, ServedModel, VideoRequest, parse_request
from hummingbird_serve.state import open_state, shared_secret
from hummingbird_serve.store import JobStore
from hummingbird_serve.videos import GeneratorLostError, ModelQueue

Handle: TypeAlias = DeploymentHandle[Any]
deploy: Any = serve.deployment  # typed for functions and decorators alone

NAME = "hummingbird"
ASK_SECONDS = 2.0
READY_SECONDS = 60.0
"""A generator that runs a long step answers late, and is there all the same."""


class Ingress:
    """The replica that takes and keeps the jobs, and serves the API and the page."""

    def __init__(
        self,
        settings: Settings,
        models: Mapping[str, ServedModel],
        tokenizer: Path,
        keys: Sequence[ApiKey],
        needs_key: bool,
        generators: Mapping[str, tuple[Handle, int, int]],
    ) -> None:
        self._settings, self._models, self._generators = settings, models, dict(generators)
        self._tokenizer, self._keys, self._needs_key = tokenizer, keys, needs_key
        self._jobs: VideoJobs | None = None
        self._ready_at, self._asked_at = -math.inf, -math.inf
        self._asking: asyncio.Task[None] | None = None

    def __serve_build_asgi_app__(self) -> Any:
        """Called by Ray Serve after the constructor."""
        from hummingbird_serve.api import build_api
        from hummingbird_serve.page import build_page, mount_page

        log_jobs()
        settings = self._settings.serve
        folder = self._settings.storage / "serve"
        os.environ["GRADIO_TEMP_DIR"] = str(work_folder(folder / "shown"))
        state = open_state(settings.jobs or folder / "jobs")
        queues = {
            name: ModelQueue(_stream(handle), batch_size, replicas, self._models[name].version)
            for name, (handle, batch_size, replicas) in self._generators.items()
        }
        policy = load_policy(settings.prompt_policy) if settings.prompt_policy else None
        self._jobs = VideoJobs(JobStore(state, folder / "videos"), queues, settings, policy)
        longest = settings.max_prompt_characters
        count_tokens = token_counter(self._tokenizer)
        parse = partial(
            parse_request,
            models=self._models,
            max_prompt_characters=longest,
            count_tokens=count_tokens,
        )
        # Keys of the environment are read here, not passed: Ray keeps arguments of deployments in the clear.
        keys = KeyRing((*environment_keys(), *self._keys), settings.guesses_per_minute, shared_secret(state))
        if self._needs_key and not keys:
            raise InputError(f"the environment of Ray's workers has no {TOKEN} or {KEYS}")
        allowed = settings.allowed_hosts
        app = build_api(self._jobs, self._models, parse, keys, self._ready, count_tokens, allowed)
        page = build_page(self._models, settings.examples, longest, login=bool(keys))
        return mount_page(app, page)

    async def drain(self, seconds: float) -> None:
        """Takes no new jobs, and returns when the passes that run are over."""
        if self._jobs is not None:
            await self._jobs.drain(seconds)

    async def _ready(self) -> bool:
        """Whether the student's generator has answered in the last seconds. Never waits for one that did."""
        now = time.monotonic()
        if now - self._asked_at > ASK_SECONDS and (self._asking is None or self._asking.done()):
            self._asked_at = now
            self._asking = asyncio.create_task(self._ask(), context=Context())
        if self._asking is not None and now - self._ready_at >= READY_SECONDS:
            await asyncio.wait([self._asking], timeout=0.2)
        return time.monotonic() - self._ready_at < READY_SECONDS or self._settings.serve.min_replicas == 0

    async def _ask(self) -> None:
        student = next(iter(self._generators.values()))[0]
        try:
            if await asyncio.wait_for(student.ready.remote(), READY_SECONDS):
                self._ready_at = time.monotonic()
        except (TimeoutError, RayError):  # a replica that just died
            self._ready_at = -math.inf


def _stream(handle: Handle) -> Any:
    streaming: Any = handle.options(stream=True)

    async def generate(request: VideoRequest, alone: bool) -> AsyncIterator[Event]:
        events = streaming.generate.remote(request, alone)
        try:
            async for event in events:
                yield event
        except RayTaskError:  # the generator's own code failed, and it lives
            raise
        except (RayError, RayServeException) as error:
            raise GeneratorLostError("the generator died") from error
        finally:
            events.cancel()

    return generate


def build_application(
    settings: Settings,
    models: Mapping[str, tuple[ServedModel, GeneratorSettings]],
    tokenizer: Path,
    needs_key: bool,
) -> Any:
    """The application to hand to ``serve.run``.

    Args:
        settings: the tree.
        models: what is served, by name: the student first, then, if wanted, the teacher, which starts at its
            first request and is stopped when it has been idle.
        tokenizer: the ``tokenizer.json`` that all of them share.
        needs_key: whether the server must not run without API keys.

    Raises:
        InputError: the file of keys or the prompt policy is not there.
    """
    own = settings.serve
    if own.prompt_policy:
        load_policy(own.prompt_policy)
    keys = check_names(read_key_file(own.api_keys) if own.api_keys else ())
    generators = {}
    for index, (name, (_, generator)) in enumerate(models.items()):
        batch, replicas = generator.max_batch_size, own.max_replicas if index == 0 else 1
        # Those of a pass and of the next, and calls that ask whether it is ready.
        ongoing = 2 * batch + 8
        scaling: dict[str, Any] = {"num_replicas": replicas}
        if index == 0 and own.min_replicas < own.max_replicas:
            bounds = {"min_replicas": own.min_replicas, "max_replicas": own.max_replicas}
            pace = {"target_ongoing_requests": batch, "upscale_delay_s": 3.0, "downscale_delay_s": 300.0}
            scaling = {"autoscaling_config": {**bounds, "initial_replicas": max(1, own.min_replicas), **pace}}
        elif index > 0:
            lazy = {"min_replicas": 0, "initial_replicas": 0, "max_replicas": 1, "downscale_delay_s": 600.0}
            lazy |= {"metrics_interval_s": 0.5, "look_back_period_s": 1.0}
            scaling = {
                "autoscaling_config": {**lazy, "upscale_delay_s": 0.0, "target_ongoing_requests": ongoing}
            }
        deployment = deploy(
            Generator,
            name="Generator" if index == 0 else "Teacher",
            max_ongoing_requests=ongoing,
            ray_actor_options={
                "num_cpus": own.replica_cpus if index == 0 else 0,
                "num_gpus": own.replica_gpus,
            },
            health_check_period_s=5.0,
            health_check_timeout_s=60.0,  # a step of a large model on a CPU lets nothing else run
            graceful_shutdown_timeout_s=own.drain_seconds,
            **scaling,
        )
        generators[name] = (deployment.bind(generator), batch, replicas)
    ingress = deploy(
        serve.ingress()(Ingress),
        name="Ingress",
        max_ongoing_requests=1000,  # polls and streams of the page, which wait more than they work
        ray_actor_options={"num_cpus": 0},
        graceful_shutdown_timeout_s=own.drain_seconds + 5.0,
    )
    cards = {name: card for name, (card, _) in models.items()}
    return ingress.bind(settings, cards, tokenizer, keys, needs_key, generators)


def check_address(settings: Settings) -> None:
    """Refuses to listen where the server would be open to others without a key, or where it cannot.

    Raises:
        InputError: says what to do.
    """
    host, port = settings.serve.host, settings.serve.port
    if not is_loopback(host) and not environment_keys() and not settings.serve.api_keys:
        raise InputError(
            f"listening on {host} opens the server to others: set a key with {TOKEN}=..., which clients send as "
            "bearer token (or several: serve.api_keys), or listen on 127.0.0.1"
        )
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise InputError(
            f"cannot listen on {host}:{port} ({error.strerror}); choose another: PORT=8001"
        ) from error


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def run_application(application: Any, settings: Settings) -> None:
    """Starts the application on the connected Ray and returns once it answers."""
    quiet = LoggingConfig(log_level="WARNING", enable_access_log=False)
    serve.start(
        proxy_location="HeadOnly",
        http_options={"host": settings.serve.host, "port": settings.serve.port},
        logging_config=quiet,
    )
    serve.run(application, name=NAME, route_prefix="/", blocking=False, logging_config=quiet)


def stop_application() -> None:
    """Ends the application, and Serve with it unless the cluster serves others' too."""
    if set(serve.status().applications) - {NAME}:
        serve.delete(NAME)
    else:
        serve.shutdown()


def application(args: Mapping[str, Any]) -> Any:
    """The application for Serve's configuration files: ``import_path: hummingbird_serve.app:application``.

    Args:
        args: settings, nested like the YAML files; ``config`` names a file of them, or a folder of files, that these go
            before. The proxy of such a cluster listens on every address, so
            API keys are always needed.
    """
    own = dict(args)
    tree = read_config(Path(own.pop("config"))) if "config" in own else {}
    merge_settings(tree, own)
    settings = load_settings(defaults=tree)
    return build_application(settings, *offered_models(settings), needs_key=True)


def serve_until_interrupted(settings: Settings) -> None:
    """Compiles the model if need be, starts Ray and the application, and stops them at Ctrl-C or SIGTERM.

    Raises:
        InputError: there is no such model, the address is taken or open to others without a key, or jobs cannot be kept
            where they should be.
    """
    check_address(settings)
    # Tried here, where a place that cannot keep jobs is a sentence, and not in a replica, which Ray would try thrice.
    open_state(settings.serve.jobs or settings.storage / "serve" / "jobs")
    models, tokenizer = offered_models(settings, wait=False)
    compiling = None
    _, generator = next(iter(models.values()))
    if generator.compiled is not None:
        print(
            "The student runs as it is while it is compiled for this machine (minutes, once) ...", flush=True
        )
        chosen = compile_settings(settings, str(generator.model))
        compiling = start_compiling(chosen, generator.compiled)
    try:
        serve_models(settings, models, tokenizer)
    finally:
        if compiling is not None:
            compiling.terminate()
            compiling.wait()


def serve_models(
    settings: Settings, models: Mapping[str, tuple[ServedModel, GeneratorSettings]], tokenizer: Path
) -> None:
    """Starts Ray and the application with these models, and stops them at Ctrl-C or SIGTERM."""
    own = settings.serve
    # Else threads that wait for work spin, and take the cores from those that have some: replicas inherit it.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    set_environment(ConnectionLimits(own.max_connections, own.max_client_connections, own.request_seconds))
    connect(settings.ray, loopback=True)
    print("Starting the server ...", flush=True)
    try:
        needs_key = not is_loopback(settings.serve.host)
        run_application(build_application(settings, models, tokenizer, needs_key), settings)
        host = settings.serve.host
        shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host
        url = f"http://{f'[{shown}]' if ':' in shown else shown}:{settings.serve.port}"
        print(
            f"Hummingbird is up: open {url} (API: {url}/v1/videos, its description: {url}/docs)", flush=True
        )
        print("Ctrl-C stops it.", flush=True)
        threading.Event().wait()
    except KeyboardInterrupt:
        print("Stopping: the pass that runs is finished, Ctrl-C again does not wait for it ...", flush=True)
        drain_application(settings.serve.drain_seconds)
    finally:
        stop_application()


def drain_application(seconds: float) -> None:
    """Lets the running passes end: polls are answered meanwhile, new jobs refused. Interrupted, it does not wait."""
    ingress: Any = serve.get_app_handle(NAME)
    try:
        ingress.drain.remote(seconds).result(timeout_s=seconds + 30)
    except KeyboardInterrupt:
        ingress.drain.remote(0.0).result(timeout_s=30)
    except (RayError, RayServeException, TimeoutError) as error:
        print(f"The jobs wait for the next server ({type(error).__name__}).", flush=True)
