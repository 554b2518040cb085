"""Where a server may listen, and what it picks to serve."""

import asyncio
import socket
from pathlib import Path

import pytest
from hummingbird.config.serve import ServeSettings
from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.lake.runs import open_run
from hummingbird_serve.app import NAME, Ingress, check_address, stop_application
from hummingbird_serve.models import line_outputs, offered_models, student_package
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
    monkeypatch.setenv("HUMMINGBIRD_TOKEN", "secret")
    check_address(at("0.0.0.0"))


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
    assert student_package(Settings(serve=ServeSettings(model=str(tmp_path)))) == tmp_path


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
    ingress = Ingress(Settings(), models, Path("tokenizer.json"), False, {"student": Lost()})
    assert asyncio.run(ingress._ready()) is False
