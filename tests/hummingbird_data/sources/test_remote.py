"""Fetching a file by URI."""

from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

import pytest
from hummingbird.core.shared_folder import NotSharedError
from hummingbird_data.sources import remote
from hummingbird_data.sources.remote import local_file
from hummingbird_data.stage import Row, Stage, StageError, StageRunner


class OddError(Exception):
    """Of a file system's own client."""


def test_whatever_a_file_system_raises_is_a_failure_to_fetch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def open_input_stream(self, path: str) -> None:
            raise OddError("reset by peer")

    monkeypatch.setattr(remote, "file_system", lambda uri: (Broken(), "a"))
    with (
        pytest.raises(StageError, match="reset by peer") as caught,
        remote.local_file("odd://a", tmp_path, 1),
    ):
        pass
    assert caught.value.stage == "fetch"
    assert not list(tmp_path.iterdir())


def test_a_file_larger_than_the_limit_is_not_fetched(tmp_path: Path) -> None:
    source = tmp_path / "large.mp4"
    source.write_bytes(bytes(2_000_000))
    with (
        pytest.raises(StageError, match="more than the limit of 1 MB"),
        remote.local_file(source.as_uri(), tmp_path, 1),
    ):
        pass
    assert list(tmp_path.iterdir()) == [source]


def test_a_node_without_the_folder_of_a_source_ends_the_run(tmp_path: Path) -> None:
    class Reading(Stage):
        name: ClassVar[str] = "read"
        inputs: ClassVar[tuple[str, ...]] = ("source_uri",)
        outputs: ClassVar[tuple[str, ...]] = ("size",)

        def process(self, row: Row) -> Iterable[Row]:
            with local_file(row["source_uri"], tmp_path, 1) as path:
                return [{"size": path.stat().st_size}]

    runner, folder = StageRunner(Reading()), tmp_path / "raw"
    row = {"source_uri": str(folder / "a.mp4")}
    for make in (lambda: None, folder.mkdir):  # not there, or a mount point that nothing is mounted on
        make()
        with pytest.raises(NotSharedError, match=f"does not see the source folder {folder}"):
            runner.run([row])
    (folder / "b.mp4").write_bytes(b"1")
    (gone,) = runner.run([row])
    assert gone["error_stage"] == "read", "one file that is gone is a failure of its own"
