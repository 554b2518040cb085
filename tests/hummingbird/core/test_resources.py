"""What a cluster can grow to counts, and whoever waits says for what."""

import time
from collections.abc import Iterator

import pytest
from hummingbird.core import resources
from hummingbird.core.resources import keep_cpu_work_to, placement, reachable_resources, told_while_waiting


@pytest.fixture
def cpu_nodes() -> Iterator[None]:
    yield
    keep_cpu_work_to({})


@pytest.mark.usefixtures("cpu_nodes")
def test_work_without_a_gpu_keeps_to_its_nodes() -> None:
    assert placement(0) == {}
    keep_cpu_work_to({"ray.io/node-group": "cpu"})
    assert placement(0) == {"label_selector": {"ray.io/node-group": "cpu"}}
    assert placement(0.5) == {}


def test_groups_at_zero_count_with_what_they_may_become(
    ray_cluster: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ray._private.state import state

    assert reachable_resources().get("GPU", 0) == 0
    grown = {"GPU": 8, "CPU": 1}
    monkeypatch.setattr(state, "get_max_resources_from_cluster_config", lambda: grown)
    assert reachable_resources()["GPU"] == 8
    assert reachable_resources()["CPU"] == 2, "what is there is not less for a smaller limit"


def test_waiting_is_told_until_it_has_begun(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(resources, "describe_resources", lambda units: "0 of 0 GPUs free")
    begun = []
    with told_while_waiting("2 workers of 1 GPU each", {"GPU": 1}, lambda: bool(begun), seconds=0.02):
        time.sleep(0.2)
        begun.append(True)
        time.sleep(0.1)
        told = capsys.readouterr().err.splitlines()
        time.sleep(0.1)
    assert told[0].startswith("waiting for 2 workers of 1 GPU each for 0 s: the cluster has 0 of 0 GPUs free")
    assert capsys.readouterr().err == ""
