"""Where a server may listen, and what it picks to serve."""

import asyncio
import json
import socket
import time
from pathlib import Path

import pytest
from hummingbird.config.serve import ServeSettings
from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.lake.runs import open_run
from hummingbird_serve.app import NAME, Ingress, build_application, check_address, stop_application
from hummingbird_serve.background import compiled_package
from hummingbird_serve.generator import GeneratorSettings
from hummingbird_serve.models import chosen_student, line_outputs, offered_models
from ray import serve
from ray.exceptions import RayActorError
from ray.serve.schema import ServeStatus

from .conftest import served


def at(host: str, port: int = 18765) -> Settings:
    return Settings(serve=ServeSettings(host=host, port=port))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_loopback_needs_no_token(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HUMMINGBIRD_TOKEN", raising=False)
    check_address(at(host))


def test_beyond_loopback_a_token_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HUMMINGBIRD_TOKEN", raising=False)
    with pytest.raises(InputError, match="HUMMINGBIRD_TOKEN"):
        check_address(at("0.0.0.0"))
    with monkeypatch.context() as environment:
        environment.setenv("HUMMINGBIRD_TOKEN", "secret")
        check_address(at("0.0.0.0"))
    check_address(Settings(serve=ServeSettings(host="0.0.0.0", port=18765, api_keys="keys.yaml")))


def test_a_taken_port_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with pytest.raises(InputError, match="choose another"):
            check_address(at("127.0.0.1", listener.getsockname()[1]))


def test_a_missing_model_is_bad_input(tmp_path: Path) -> None:
    settings = Settings(storage=tmp_path, serve=ServeSettings(model=str(tmp_path / "nothing")))
    with pytest.raises(InputError, match="no pipeline"):
        offered_models(settings)


def test_only_a_finished_line_counts(settings: Settings) -> None:
    def fail() -> None:
        with open_run(settings, "line", inputs={"recipe": "b"}) as run:
            run.outputs["package"] = run.folder / "package"
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert line_outputs(settings) == {}
    with open_run(settings, "line", inputs={"recipe": "a"}) as run:
        run.outputs["student"] = run.folder / "pipeline"
    assert line_outputs(settings) == {"student": str(run.folder / "pipeline")}


def test_a_given_package_is_served_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    assert chosen_student(Settings(serve=ServeSettings(model=str(tmp_path)))) == tmp_path


def test_a_student_without_a_package_is_offered_as_it_is_until_it_has_one(
    tiny_pipelines: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(
        storage=tmp_path, serve=ServeSettings(model=str(tiny_pipelines["student"]), teacher=False)
    )
    models, tokenizer = offered_models(settings, wait=False)
    [(card, generator)] = models.values()
    assert tokenizer.is_file()
    assert (card.compiled, generator.model) == (False, tiny_pipelines["student"])
    assert generator.compiled == card.compiled_name
    assert set(card.qualities) <= {"fast", "quality"}
    assert compiled_package(str(card.compiled_name)) is None
    package = tmp_path / "package"
    package.mkdir()
    file = Path(str(card.compiled_name))
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"package": str(package)}))
    assert compiled_package(str(file)) is None, "an unfinished package is none"
    (package / "manifest.json").write_text("{}")
    monkeypatch.setattr("hummingbird.compiling.package.read_package_manifest", lambda folder: None)
    monkeypatch.setattr("hummingbird.compiling.package.check_machine", lambda manifest: None)
    assert compiled_package(str(file)) == package


@pytest.mark.parametrize(
    ("running", "done"), [([NAME], "shutdown"), ([], "shutdown"), ([NAME, "theirs"], f"delete {NAME}")]
)
def test_others_applications_go_on_when_this_one_ends(
    running: list[str], done: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[str] = []
    monkeypatch.setattr(serve, "status", lambda: ServeStatus(applications=dict.fromkeys(running)))
    monkeypatch.setattr(serve, "shutdown", lambda: called.append("shutdown"))
    monkeypatch.setattr(serve, "delete", lambda name: called.append(f"delete {name}"))
    stop_application()
    assert called == [done]


@pytest.mark.parametrize("error", [TimeoutError(), RayActorError()])
def test_a_generator_that_does_not_answer_is_not_ready(error: Exception) -> None:
    class Lost:
        @property
        def ready(self) -> "Lost":
            return self

        async def remote(self) -> bool:
            raise error

    models = {"student": served()}
    ingress = Ingress(Settings(), models, Path("tokenizer.json"), (), False, {"student": (Lost(), 1, 1)})
    assert asyncio.run(ingress._ready()) is False


def test_a_busy_generator_is_not_waited_for() -> None:
    class Busy:
        answers = asyncio.Event()

        @property
        def ready(self) -> "Busy":
            return self

        async def remote(self) -> bool:
            await self.answers.wait()
            return True

    async def run() -> None:
        ingress = Ingress(Settings(), {"student": served()}, Path(), (), False, {"student": (Busy(), 1, 1)})
        started = time.monotonic()
        assert not await ingress._ready()
        assert time.monotonic() - started < 2
        Busy.answers.set()
        assert await ingress._ready()

    asyncio.run(run())


def test_the_student_scales_within_its_bounds_and_takes_the_gpus_of_the_settings() -> None:
    card = served()
    models = {
        name: (card, GeneratorSettings(Path(), 1, batch, 0.0, 4, 8, 5.0))
        for name, batch in (("student", 4), ("teacher", 1))
    }
    settings = Settings(serve=ServeSettings(min_replicas=1, max_replicas=3, replica_gpus=0.5))
    application = build_application(settings, models, Path(), needs_key=False)
    generators = application._bound_deployment.init_args[-1]
    student, teacher = (generators[name][0]._bound_deployment for name in models)
    scaling = student._deployment_config.autoscaling_config
    assert (scaling.min_replicas, scaling.max_replicas, scaling.target_ongoing_requests) == (1, 3, 4)
    assert student.ray_actor_options["num_gpus"] == 0.5
    assert teacher._deployment_config.autoscaling_config.max_replicas == 1
    assert generators["student"][1:] == (4, 3)


def test_bounds_of_replicas_the_wrong_way_round_are_refused() -> None:
    with pytest.raises(ValueError, match="raise max_replicas"):
        ServeSettings(min_replicas=2)
    with pytest.raises(ValueError, match="password"):
        ServeSettings(jobs="postgresql://me:secret@host/jobs")
