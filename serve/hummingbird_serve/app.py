"""The Ray Serve application: generators behind one ingress that has the API and the page."""

import asyncio
import ipaddress
import os
import socket
import threading
from collections.abc import AsyncIterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from hummingbird.config.cluster import connect
from hummingbird.config.loading import load_settings, merge_settings, read_config
from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.core.scratch import work_folder
from ray import serve
from ray.exceptions import RayError
from ray.serve.handle import DeploymentHandle
from ray.serve.schema import LoggingConfig

from hummingbird_serve.generator import Generator, GeneratorSettings
from hummingbird_serve.models import offered_models, token_counter
from hummingbird_serve.requests import Event, ServedModel, VideoRequest, parse_request

Handle: TypeAlias = DeploymentHandle[Any]
deploy: Any = serve.deployment  # typed for functions and decorators alone

NAME = "hummingbird"
TOKEN = "HUMMINGBIRD_TOKEN"
READY_SECONDS = 5.0


class Ingress:
    """The one replica that keeps the videos and serves the API and the page."""

    def __init__(
        self,
        settings: Settings,
        models: Mapping[str, ServedModel],
        tokenizer: Path,
        needs_token: bool,
        generators: Mapping[str, Handle],
    ) -> None:
        self._settings, self._models, self._generators = settings, models, dict(generators)
        self._tokenizer = tokenizer
        # The token is read here, not passed: arguments of deployments are kept in Ray's store in the clear.
        self._token = os.environ.get(TOKEN) or None
        if needs_token and self._token is None:
            raise InputError(f"the environment of Ray's workers has no {TOKEN}")

    def __serve_build_asgi_app__(self) -> Any:
        """Called by Ray Serve after the constructor."""
        from hummingbird_serve.api import build_api
        from hummingbird_serve.page import build_page, mount_page
        from hummingbird_serve.videos import VideoJobs, VideoStore

        settings = self._settings.serve
        folder = self._settings.storage / "serve"
        os.environ["GRADIO_TEMP_DIR"] = str(work_folder(folder / "shown"))
        store = VideoStore(folder / "videos", settings.max_videos, settings.keep_seconds)
        generators = {name: _stream(handle) for name, handle in self._generators.items()}
        jobs = VideoJobs(store, generators, settings.max_queued)
        longest = settings.max_prompt_characters
        parse = partial(
            parse_request,
            models=self._models,
            max_prompt_characters=longest,
            count_tokens=token_counter(self._tokenizer),
        )
        app = build_api(jobs, self._models, parse, self._token, self._ready)
        page = build_page(jobs, self._models, parse, settings.examples, longest)
        return mount_page(app, page, self._token)

    async def _ready(self) -> bool:
        student = next(iter(self._generators.values()))
        try:
            return bool(await asyncio.wait_for(student.ready.remote(), READY_SECONDS))
        except (TimeoutError, RayError):  # a replica that just died
            return False


def _stream(handle: Handle) -> Any:
    streaming: Any = handle.options(stream=True)

    async def generate(request: VideoRequest) -> AsyncIterator[Event]:
        events = streaming.generate.remote(request)
        try:
            async for event in events:
                yield event
        finally:
            events.cancel()

    return generate


def build_application(
    settings: Settings,
    models: Mapping[str, tuple[ServedModel, GeneratorSettings]],
    tokenizer: Path,
    needs_token: bool,
) -> Any:
    """The application to hand to ``serve.run``.

    Args:
        settings: the tree.
        models: what is served, by name: the student first, then, if wanted, the teacher, which starts at its
            first request and is stopped when it has been idle.
        tokenizer: the ``tokenizer.json`` that all of them share.
        needs_token: whether the server must not run without a token.
    """
    own = settings.serve
    ongoing = own.max_queued + 8
    generators = {}
    for index, (name, (_, generator)) in enumerate(models.items()):
        scaling: dict[str, Any] = {"num_replicas": own.replicas}
        if index > 0:
            lazy = {"min_replicas": 0, "initial_replicas": 0, "max_replicas": 1, "downscale_delay_s": 600.0}
            lazy |= {"metrics_interval_s": 0.5, "look_back_period_s": 1.0}
            scaling = {
                "autoscaling_config": {**lazy, "upscale_delay_s": 0.0, "target_ongoing_requests": ongoing}
            }
        deployment = deploy(
            Generator,
            name="Generator" if index == 0 else "Teacher",
            max_ongoing_requests=ongoing,
            ray_actor_options={"num_cpus": own.replica_cpus if index == 0 else 0},
            health_check_period_s=5.0,
            graceful_shutdown_timeout_s=5.0,
            **scaling,
        )
        generators[name] = deployment.bind(generator)
    ingress = deploy(
        serve.ingress()(Ingress),
        name="Ingress",
        max_ongoing_requests=1000,  # polls and streams of the page, which wait more than they work
        ray_actor_options={"num_cpus": 0},
        graceful_shutdown_timeout_s=5.0,
    )
    cards = {name: card for name, (card, _) in models.items()}
    return ingress.bind(settings, cards, tokenizer, needs_token, generators)


def check_address(settings: Settings) -> None:
    """Refuses to listen where the server would be open to others without a token, or where it cannot.

    Raises:
        InputError: says what to do.
    """
    host, port = settings.serve.host, settings.serve.port
    if not is_loopback(host) and not os.environ.get(TOKEN):
        raise InputError(
            f"listening on {host} opens the server to others: set a token with {TOKEN}=..., which clients "
            "send as bearer token, or listen on 127.0.0.1"
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
            before. The proxy of such a cluster listens on every address, so the token is always needed.
    """
    own = dict(args)
    tree = read_config(Path(own.pop("config"))) if "config" in own else {}
    merge_settings(tree, own)
    settings = load_settings(defaults=tree)
    return build_application(settings, *offered_models(settings), needs_token=True)


def serve_until_interrupted(settings: Settings) -> None:
    """Compiles the model if need be, starts Ray and the application, and stops them at Ctrl-C.

    Raises:
        InputError: there is no such model, or the address is taken or open to others without a token.
    """
    check_address(settings)
    models, tokenizer = offered_models(settings)
    connect(settings.ray)
    print("Starting the server ...", flush=True)
    try:
        needs_token = not is_loopback(settings.serve.host)
        run_application(build_application(settings, models, tokenizer, needs_token), settings)
        host = settings.serve.host
        shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host
        url = f"http://{f'[{shown}]' if ':' in shown else shown}:{settings.serve.port}"
        print(
            f"Hummingbird is up: open {url} (API: {url}/v1/videos, its description: {url}/docs)", flush=True
        )
        print("Ctrl-C stops it.", flush=True)
        threading.Event().wait()
    except KeyboardInterrupt:
        print("Stopping ...", flush=True)
    finally:
        stop_application()
