"""What curation counts reaches Ray's own metrics, from workers and from the driver."""

import re
import time
import urllib.request
from collections.abc import Iterable
from typing import Any, ClassVar

import pytest
from hummingbird_data.runtime.metrics import count
from hummingbird_data.stage import Row, StageError, add_stages

from ..test_stage import Halve


class CountedHalve(Halve):
    """Under a name that no other test on the same Ray counts by."""

    name: ClassVar[str] = "counted"

    def process(self, row: Row) -> Iterable[Row]:
        if row["number"] == 13:
            raise StageError("counted", "no thirteens")
        return super().process(row)


def exported() -> dict[tuple[str, str], float]:
    """The counters of this project that Ray's agent offers to Prometheus, by name and the value of their tag."""
    import ray

    node = ray.nodes()[0]
    address = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
    with urllib.request.urlopen(address, timeout=10) as answer:
        text = answer.read().decode()
    found: dict[tuple[str, str], float] = {}
    for name, tags, value in re.findall(r"^ray_hummingbird_(\w+)\{(.*)\} (\S+)$", text, re.MULTILINE):
        tag = re.search(r'(?:^|,)(?:stage|reason)="([^"]*)"', tags)
        key = name.removesuffix("_total"), tag.group(1) if tag else ""
        found[key] = found.get(key, 0.0) + float(value)
    return found


@pytest.mark.slow
def test_stages_errors_and_drops_are_in_rays_metrics(ray_cluster: None) -> None:
    import ray.data

    numbers: list[Any] = [{"number": n} for n in (2, 13, 4)]
    add_stages(ray.data.from_items(numbers, override_num_blocks=3), [CountedHalve()]).materialize()
    count("hummingbird_dropped_clips", 2, {"reason": "counted"})
    count("hummingbird_quarantined_files", 3, {"stage": "counted"})
    end = time.monotonic() + 120  # workers report every 10 seconds
    wanted = {
        ("stage_clips", "counted"): 3,
        ("stage_errors", "counted"): 1,
        ("dropped_clips", "counted"): 2,
        ("quarantined_files", "counted"): 3,
    }
    found: dict[tuple[str, str], float] = {}
    while time.monotonic() < end and not all(found.get(key, 0) >= value for key, value in wanted.items()):
        time.sleep(2)
        found = exported()
    assert {key: found.get(key) for key in wanted} == wanted
    assert found["stage_seconds", "counted"] > 0
