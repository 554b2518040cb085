"""Fetching a file by URI."""

from pathlib import Path

import pytest
from hummingbird_data.sources import remote
from hummingbird_data.stage import StageError


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
