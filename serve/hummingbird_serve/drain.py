"""What a pod of the service does before it goes: its replicas move elsewhere, each after the pass that it is in.

python -m hummingbird_serve.drain --seconds 630
"""

import argparse
import subprocess
import sys
import time

from hummingbird.config.cluster import RaySettings, connect

_REPLICA = "ServeReplica:"
_WAIT = 1.0


def drain(node: str, seconds: float) -> bool:
    """Tells Ray that a node ends, and waits until Serve has moved its replicas; whether it has within ``seconds``.

    Raises:
        subprocess.CalledProcessError: Ray refuses.
    """
    end = time.monotonic() + seconds
    command = [sys.executable, "-m", "ray.scripts.scripts", "drain-node", "--node-id", node]
    command += ["--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "the pod ends"]
    command += ["--deadline-remaining-seconds", str(int(seconds))]
    subprocess.run(command, check=True)
    while replicas_on(node):
        if time.monotonic() >= end:
            return False
        time.sleep(_WAIT)
    return True


def replicas_on(node: str) -> list[str]:
    """The replicas of Serve that live on a node."""
    from ray.util.state import list_actors

    actors = list_actors(filters=[("node_id", "=", node), ("state", "=", "ALIVE")], limit=10_000)
    return [actor.class_name for actor in actors if actor.class_name.startswith(_REPLICA)]


def main() -> None:
    """Drains the node that this process runs on."""
    import ray

    parser = argparse.ArgumentParser(prog="hummingbird_serve.drain", description=main.__doc__)
    parser.add_argument("--seconds", type=float, default=630.0, help="most that it waits")
    seconds = parser.parse_args().seconds
    connect(RaySettings(address="auto"))
    if not drain(ray.get_runtime_context().get_node_id(), seconds):
        sys.exit(f"after {seconds:g} s replicas are still here")


if __name__ == "__main__":
    main()
