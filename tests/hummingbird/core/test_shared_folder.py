"""A storage folder that a node does not see, or sees another in place of, is an error that names the node."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from hummingbird.core.remote_path import RemotePath
from hummingbird.core.shared_folder import MARKER, NotSharedError, SharedFolder
from ray_head import GCS, ray_head, ray_node_without

LOOK = """
import sys, time
from pathlib import Path
import ray
from hummingbird.core.shared_folder import NotSharedError, SharedFolder
ray.init(address=sys.argv[1], log_to_driver=False)
shared = SharedFolder.mark(Path(sys.argv[2]))
shared.check_nodes()
print("alone", flush=True)
sys.stdin.readline()
deadline = time.monotonic() + 90
while sum(node["Alive"] for node in ray.nodes()) < 2 and time.monotonic() < deadline:
    time.sleep(0.5)
try:
    shared.check_nodes()
except NotSharedError as error:
    print(error, flush=True)
"""


def test_the_same_folder_keeps_its_marker(tmp_path: Path) -> None:
    first = SharedFolder.mark(tmp_path)
    assert first is not None
    assert SharedFolder.mark(tmp_path) == first
    first.check()
    assert SharedFolder.mark(RemotePath("memory://bucket/runs")) is None


@pytest.mark.parametrize("found", [None, "another"])
def test_another_folder_is_an_error_that_names_the_node(tmp_path: Path, found: str | None) -> None:
    shared = SharedFolder.mark(tmp_path)
    assert shared is not None
    (tmp_path / MARKER).unlink()
    if found is not None:
        (tmp_path / MARKER).write_text(found)
    with pytest.raises(NotSharedError, match=f"the node {socket.gethostname()}.*mount the same folder there"):
        shared.check()


@pytest.mark.slow
def test_a_node_that_does_not_see_the_storage_is_named(tmp_path_factory: pytest.TempPathFactory) -> None:
    if os.getuid() != 0:
        pytest.skip("a node's own view of a folder needs a mount namespace")
    storage = tmp_path_factory.mktemp("storage")
    with ray_head(num_cpus=1) as environment:
        command = [sys.executable, "-c", LOOK, environment[GCS], str(storage)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen(command, env={**os.environ, **environment}, text=True, **pipes) as driver:  # type: ignore[call-overload]
            assert driver.stdout.readline() == "alone\n"
            with ray_node_without(storage, environment, tmp_path_factory.mktemp("node") / "node.log"):
                said, _ = driver.communicate("\n", timeout=240)
        assert said.startswith(f"the node {socket.gethostname()} (")
        assert f"does not see the storage {storage}: mount the same folder there" in said
