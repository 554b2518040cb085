"""Metrics: nothing outside Ray, and of a training's steps what its log has."""

import sys
from pathlib import Path
from typing import Any

import pytest
from hummingbird.core import metrics
from hummingbird.core.metrics import METRICS, count, gauge, observe
from hummingbird.training.log import LossFile


def test_outside_ray_nothing_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_metric", lambda name: 1 / 0)
    monkeypatch.delitem(sys.modules, "ray", raising=False)
    count("hummingbird_kept_clips", 1)
    gauge("hummingbird_training_loss", 1, {"term": "total"})
    observe("hummingbird_training_step_seconds", 1)


def test_ray_takes_every_metric_with_its_tags() -> None:
    for name, known in METRICS.items():
        made = metrics._metric(name)
        assert type(made).__name__ == known.kind
        assert made.info["tag_keys"] == known.tags
        assert bool(known.boundaries) == (known.kind == "Histogram")


def test_the_log_of_a_training_is_measured_line_by_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[Any, ...]] = []

    class Seen:
        def __init__(self, name: str) -> None:
            self.name = name

        def inc(self, value: float, tags: dict[str, str]) -> None:
            seen.append((self.name, value, tags))

        set = observe = inc

    monkeypatch.setattr(metrics, "_in_ray", lambda: True)
    monkeypatch.setattr(metrics, "_metric", Seen)
    with LossFile(tmp_path / "losses.jsonl", 0) as file:
        file.write([{"step": 1, "total": 0.5, "gradient_norm": 2.0, "learning_rate": 1e-3, "seconds": 0.25}])
    assert seen == [
        ("hummingbird_training_steps", 1, {}),
        ("hummingbird_training_step_seconds", 0.25, {}),
        ("hummingbird_training_learning_rate", 1e-3, {}),
        ("hummingbird_training_loss", 0.5, {"term": "total"}),
        ("hummingbird_training_loss", 2.0, {"term": "gradient_norm"}),
    ]
