"""What a Ray cluster has, what it can grow to, and a line every now and then for whoever waits for more.

Groups of an autoscaled cluster may stand at zero: what is not there now may come as soon as something asks for it.
"""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from hummingbird.core.background import every

WAIT_SECONDS = 20.0
"""From one line about waiting to the next."""


def reachable_resources() -> dict[str, float]:
    """The resources of the connected cluster, or what its autoscaler may bring them to where that is more."""
    import ray
    from ray._private.state import state  # what Ray Train and Ray Data read, too: there is no public way

    now: dict[str, float] = dict(ray.cluster_resources())
    for name, most in (state.get_max_resources_from_cluster_config() or {}).items():
        now[name] = max(now.get(name, 0.0), float(most))
    return now


_cpu_nodes: dict[str, str] = {}


def keep_cpu_work_to(labels: Mapping[str, str]) -> None:
    """From now on work without a GPU goes to nodes with these labels alone; none: anywhere."""
    _cpu_nodes.clear()
    _cpu_nodes.update(labels)


def placement(gpus: float) -> dict[str, Any]:
    """Options of a Ray task or actor that say which nodes it may run on."""
    return {"label_selector": dict(_cpu_nodes)} if _cpu_nodes and not gpus else {}


def describe_resources(units: Mapping[str, float]) -> str:
    """The units of what is there now, in words: ``2 of 4 CPUs free, 0 of 0 GPUs free``."""
    import ray

    there, free = ray.cluster_resources(), ray.available_resources()
    return ", ".join(
        f"{free.get(unit, 0):g} of {there.get(unit, 0):g} {unit}s free"
        for unit, count in units.items()
        if count
    )


@contextmanager
def told_while_waiting(
    what: str, units: Mapping[str, float], begun: Callable[[], bool], seconds: float = WAIT_SECONDS
) -> Iterator[None]:
    """While open and until it has ``begun``, a line on standard error says what is waited for.

    Args:
        what: "2 workers of 1 CPU and 1 GPU".
        units: of Ray's resources, those that are wanted.
        begun: whether it is there.
        seconds: from line to line.
    """
    start = time.monotonic()

    def tell() -> None:
        if not begun():
            waited = time.monotonic() - start
            print(
                f"waiting for {what} for {waited:.0f} s: the cluster has {describe_resources(units)}",
                file=sys.stderr,
                flush=True,
            )

    with every(seconds, tell, "waiting"):
        yield
