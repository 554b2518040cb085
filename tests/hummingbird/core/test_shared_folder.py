"""A storage folder that a node does not see, or sees another in place of, is an error that names the node."""

import socket
from pathlib import Path

import pytest
from hummingbird.core.files import RemotePath
from hummingbird.core.shared_folder import MARKER, NotSharedError, SharedFolder


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
