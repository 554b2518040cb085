"""A storage folder that all nodes of a cluster must see: a marker in it proves that they do.

Where one does not, what it writes lands in a folder of its own, and the rows that name it are wrong. (A storage that is
a URI needs no such proof.)
"""

import socket
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hummingbird.core.errors import InputError
from hummingbird.core.files import AnyPath, create

MARKER = ".hummingbird-storage"
_SECONDS = 120.0  # for a node to start a process and look


class NotSharedError(InputError):
    """A node does not see the storage."""


@dataclass(frozen=True)
class SharedFolder:
    """A folder and what its marker holds; can be sent to workers."""

    folder: Path
    marker: str

    @classmethod
    def mark(cls, place: AnyPath) -> "SharedFolder | None":
        """The folder, with a marker that stays; none: the place is a URI."""
        if not isinstance(place, Path):
            return None
        with suppress(FileExistsError):
            create(place / MARKER, f"{uuid.uuid4().hex}\n".encode())
        return cls(place, (place / MARKER).read_text(encoding="utf-8").strip())

    def check(self) -> None:
        """Whether this machine sees the very folder.

        Raises:
            NotSharedError: it does not; names the machine.
        """
        try:
            found = (self.folder / MARKER).read_text(encoding="utf-8").strip()
        except OSError:
            found = None
        if found != self.marker:
            seen = "does not see" if found is None else "sees another folder in place of"
            raise NotSharedError(
                f"the node {this_machine()} {seen} the storage {self.folder}: mount the same folder there, or name "
                "a storage that every node reaches by its URI (--storage s3://bucket/prefix)"
            )

    def check_nodes(self) -> None:
        """`check` on every node that the connected cluster has now, but for this one.

        Raises:
            NotSharedError: names the nodes that do not see it.
        """
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        own = ray.get_runtime_context().get_node_id()
        others = [node["NodeID"] for node in ray.nodes() if node["Alive"] and node["NodeID"] != own]
        look = ray.remote(num_cpus=0, max_retries=0)(_problem)
        looks = [
            look.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(self)
            for node in others
        ]
        problems = []
        for node, answer in zip(others, looks, strict=True):
            try:
                problem = ray.get(answer, timeout=_SECONDS)
            except ray.exceptions.GetTimeoutError:
                problem = f"the node {node} did not say within {_SECONDS:.0f} s whether it sees {self.folder}"
            except ray.exceptions.RayError:
                if any(one["NodeID"] == node and one["Alive"] for one in ray.nodes()):
                    raise
                continue  # it has gone, and so has the question
            if problem is not None:
                problems.append(problem)
        if problems:
            raise NotSharedError("; ".join(sorted(problems)))


def _problem(shared: SharedFolder) -> str | None:
    try:
        shared.check()
    except NotSharedError as error:
        return str(error)
    return None


def this_machine() -> str:
    """Name and, where Ray runs, address of this node."""
    name = socket.gethostname()
    try:
        import ray

        return f"{name} ({ray.util.get_node_ip_address()})" if ray.is_initialized() else name
    except ImportError:
        return name
