"""What the parts count and measure for Ray's dashboard and for Prometheus, which see it as ``ray_hummingbird_...``.

Counters end in ``_total`` there, histograms in ``_bucket``, ``_sum`` and ``_count``. Outside Ray nothing is counted.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal


@dataclass(frozen=True)
class MetricKind:
    """``boundaries``: upper bounds of a histogram's buckets, in the unit that its name ends with."""

    kind: Literal["Counter", "Gauge", "Histogram"]
    description: str
    tags: tuple[str, ...] = ()
    boundaries: tuple[float, ...] = ()


METRICS = {
    "hummingbird_stage_clips": MetricKind(
        "Counter", "Clips (or files, of the first stage) that a stage has made", ("stage",)
    ),
    "hummingbird_stage_seconds": MetricKind(
        "Counter", "Time that a stage has worked, of all processes", ("stage",)
    ),
    "hummingbird_stage_errors": MetricKind("Counter", "Rows that a stage has failed on", ("stage",)),
    "hummingbird_kept_clips": MetricKind("Counter", "Clips that were committed as kept"),
    "hummingbird_dropped_clips": MetricKind(
        "Counter", "Clips that were committed as dropped, by reason; some for several", ("reason",)
    ),
    "hummingbird_quarantined_files": MetricKind(
        "Counter", "Files that were committed to quarantine, by stage", ("stage",)
    ),
    "hummingbird_training_steps": MetricKind("Counter", "Optimizer steps"),
    "hummingbird_training_step_seconds": MetricKind(
        "Histogram", "Time of an optimizer step", (), (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)
    ),
    "hummingbird_training_loss": MetricKind(
        "Gauge", "The newest step's losses and gradient norm, the mean of all workers", ("term",)
    ),
    "hummingbird_training_learning_rate": MetricKind("Gauge", "The newest step's learning rate"),
    "hummingbird_training_samples_per_second": MetricKind("Gauge", "Samples a second of all workers"),
    "hummingbird_training_memory_gb": MetricKind(
        "Gauge", "Most memory that the first worker had in use, in GB"
    ),
    "hummingbird_training_tflops": MetricKind("Gauge", "TFLOP a second of the first worker"),
    "hummingbird_training_mfu": MetricKind(
        "Gauge", "TFLOP a second as a share of the device's peak, where that is known"
    ),
    "hummingbird_evaluated_videos": MetricKind(
        "Counter", "Videos of an evaluation, made or failed", ("model", "outcome")
    ),
}
"""By name, all that there are."""


def count(name: str, value: float, tags: Mapping[str, str] | None = None) -> None:
    """Adds to a counter of `METRICS`."""
    if value and _in_ray():
        _metric(name).inc(value, tags=dict(tags or {}))


def gauge(name: str, value: float, tags: Mapping[str, str] | None = None) -> None:
    """Sets a gauge of `METRICS`."""
    if _in_ray():
        _metric(name).set(value, tags=dict(tags or {}))


def observe(name: str, value: float, tags: Mapping[str, str] | None = None) -> None:
    """Puts a value into a histogram of `METRICS`."""
    if _in_ray():
        _metric(name).observe(value, tags=dict(tags or {}))


def _in_ray() -> bool:
    return "ray" in sys.modules and bool(sys.modules["ray"].is_initialized())


@cache
def _metric(name: str) -> Any:
    from ray.util import metrics

    known = METRICS[name]
    more = {"boundaries": list(known.boundaries)} if known.kind == "Histogram" else {}
    return getattr(metrics, known.kind)(name, description=known.description, tag_keys=known.tags, **more)
