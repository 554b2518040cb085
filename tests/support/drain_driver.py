"""Drains a node of a small Ray cluster while its replica works: what became of request and replica, in a file."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import ray
from hummingbird_serve.drain import drain, replicas_on
from ray import serve
from ray.cluster_utils import Cluster

PASS_SECONDS = 12.0


class Slow:
    """A replica whose pass takes long."""

    def __call__(self) -> str:
        time.sleep(PASS_SECONDS)
        return ray.get_runtime_context().get_node_id()


def main() -> None:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": True})
    nodes = [cluster.add_node(num_cpus=1).node_id for _ in range(2)]
    ray.init(address=cluster.address, log_to_driver=False)
    options = {"num_replicas": 1, "graceful_shutdown_timeout_s": 60, "ray_actor_options": {"num_cpus": 1}}
    deployment: Any = serve.deployment(Slow, **options)
    serve.start(proxy_location="Disabled")
    handle = serve.run(deployment.bind(), route_prefix=None)
    (here,) = (node for node in nodes if replicas_on(node))
    (other,) = set(nodes) - {here}
    answer = handle.remote()
    time.sleep(1.0)
    moved = drain(here, 90.0)
    found = {"moved": moved, "answered_here": answer.result() == here, "now": len(replicas_on(other))}
    Path(sys.argv[1]).write_text(json.dumps(found))
    serve.shutdown()
    ray.shutdown()
    cluster.shutdown()


if __name__ == "__main__":
    main()
