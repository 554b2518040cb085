"""Actors of engines: what they ask of Ray."""

from typing import Any

import pytest
import ray
from hummingbird_data.captions.engine_actors import EngineActors


class _Engine:
    actors, gpus, batch_rows = 2, 0.5, 4

    class identity:
        name = "a model"

    class spec:
        resources = {"caption": 0.01}  # noqa: RUF012


def test_actors_ask_for_the_gpus_and_resources_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def remote(**options: Any) -> Any:
        asked.append(options)
        return lambda _: type("Made", (), {"remote": staticmethod(lambda engine: object())})

    monkeypatch.setattr(ray, "remote", remote)
    assert len(EngineActors()._actors(_Engine())) == 2  # type: ignore[arg-type]
    assert [(one["num_cpus"], one["num_gpus"], one["resources"]) for one in asked] == [
        (0, 0.5, {"caption": 0.01})
    ]
