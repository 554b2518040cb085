"""What counts as a source, which caption it gets, and where batches end."""

from pathlib import Path

import pytest
from hummingbird.config.section import InputError
from hummingbird_data.sources import Source, batches, find_sources


def test_captions_come_from_the_list_or_from_a_file_beside_the_video(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "d.mkv").write_bytes(b"x")
    (tmp_path / "b.txt").write_text("beside\n")
    (tmp_path / "captions.csv").write_text('uri,caption\na.mp4,"listed, with comma"\nsub/d.mkv,\n')
    found = {Path(s.uri).relative_to(tmp_path).as_posix(): s.caption for s in find_sources(tmp_path)}
    assert found == {"a.mp4": "listed, with comma", "b.mp4": "beside", "c.mp4": None, "sub/d.mkv": None}


def test_a_file_that_is_no_video_is_a_source_but_a_hidden_one_is_not(tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_text("no video of this name")
    (tmp_path / ".DS_Store").write_text("hidden")
    assert [Path(s.uri).name for s in find_sources(tmp_path)] == ["readme.txt"]


def test_bad_folders_are_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="--source"):
        find_sources(None)
    with pytest.raises(InputError, match="no folder"):
        find_sources(tmp_path / "missing")
    with pytest.raises(InputError, match="is no folder"):
        find_sources(tmp_path / "file")
    with pytest.raises(InputError, match="no files"):
        find_sources(tmp_path / "empty")


def test_a_list_without_its_columns_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"x")
    (tmp_path / "captions.csv").write_text("file,text\na.mp4,hello\n")
    with pytest.raises(InputError, match="uri and caption"):
        find_sources(tmp_path)


def test_a_new_file_changes_one_batch_only() -> None:
    sources = [Source(f"/videos/{number:04d}.mp4", None, "1") for number in range(200)]
    before = dict(batches(sources, 8, "key"))
    after = dict(
        batches(sorted([*sources, Source("/videos/0100a.mp4", None, "1")], key=lambda s: s.uri), 8, "key")
    )
    assert [s for batch in before.values() for s in batch] == sources
    assert max(map(len, before.values())) <= 16
    assert len(set(after) - set(before)) <= 2


def test_a_changed_file_setting_or_caption_makes_another_batch() -> None:
    def batch_id(key: str = "key", **changes: str) -> str:
        source = {"uri": "/a.mp4", "caption": "c", "fingerprint": "1", **changes}
        return next(batches([Source(**source)], 8, key))[0]

    ids = {batch_id(), batch_id(fingerprint="2"), batch_id(caption="d"), batch_id("other")}
    assert len(ids) == 4
    assert batch_id() == batch_id()
