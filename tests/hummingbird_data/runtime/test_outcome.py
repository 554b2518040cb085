"""Rows are committed only when the driver sees their media."""

from pathlib import Path

import pytest
from hummingbird.core.remote_path import RemotePath
from hummingbird.core.shared_folder import NotSharedError
from hummingbird_data.runtime.outcome import check_media


def test_media_that_are_elsewhere_are_refused(tmp_path: Path) -> None:
    (tmp_path / "here.mp4").write_bytes(b"1")
    failed = {"error": "no video", "media_path": None}
    check_media(tmp_path, {"a": [{"media_path": "here.mp4"}], "b": [failed]})
    with pytest.raises(NotSharedError, match=r"1 clips .* nothing of them was committed"):
        check_media(tmp_path, {"a": [{"media_path": "here.mp4"}], "b": [{"media_path": "gone.mp4"}]})
    check_media(RemotePath("memory://bucket/runs"), {"a": [{"media_path": "gone.mp4"}]})
