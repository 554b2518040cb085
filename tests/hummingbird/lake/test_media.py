"""Stored media: named by content, whole or absent."""

import hashlib
from pathlib import Path

import pytest
from hummingbird.core.files import write_atomically
from hummingbird.lake.media import store_media


def test_content_names_the_file_and_is_stored_once(tmp_path: Path) -> None:
    first = store_media(tmp_path, b"video")
    digest = hashlib.sha256(b"video").hexdigest()
    assert (first.content_hash, first.media_path) == (digest, f"media/clips/{digest[:2]}/{digest}.mp4")
    written = (tmp_path / first.media_path).stat().st_mtime_ns
    assert store_media(tmp_path, b"video") == first
    assert (tmp_path / first.media_path).stat().st_mtime_ns == written


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write_atomically(tmp_path / "a" / "b.mp4", b"x")
    assert list((tmp_path / "a").iterdir()) == []
