"""What every test shares: a clean environment, and one small local Ray."""

import os
from collections.abc import Iterator
from pathlib import Path

# Before Ray or torch is imported anywhere: tests neither join a cluster that happens to run here, nor ask the
# network, nor take every core.
os.environ.pop("RAY_ADDRESS", None)
os.environ.update(
    {
        "RAY_AUTH_MODE": "token",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        "HF_HUB_OFFLINE": "1",
        "DS_ACCELERATOR": "cpu",
    }
)
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hummingbird.config.settings import Settings


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """One local Ray instance with 2 CPUs for the whole session, without a dashboard."""
    import ray

    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Default settings with the storage in a fresh folder."""
    return Settings(storage=tmp_path / "runs")
