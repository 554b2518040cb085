"""What counts as a source, which caption it gets, and where batches end."""

import os
import tracemalloc
from pathlib import Path

import pytest
from hummingbird.core.errors import InputError
from hummingbird_data.sources.batching import BatchSizer, batches
from hummingbird_data.sources.source_batches import Source, batch_id, find_sources


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


def test_a_link_to_nowhere_is_a_source_and_a_linked_folder_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "elsewhere").mkdir()
    there = tmp_path / "there"
    there.mkdir()
    (there / "a.mp4").symlink_to(tmp_path / "gone.mp4")
    (there / "b.mp4").write_bytes(b"b")
    (there / "b.txt").symlink_to(tmp_path / "gone.txt")
    (there / "linked").symlink_to(tmp_path / "elsewhere")
    found = list(find_sources(there))
    assert [(Path(s.uri).name, s.caption) for s in found] == [("a.mp4", None), ("b.mp4", None)]
    assert found[0].fingerprint == "missing"
    assert "linked is a link: not looked into" in caplog.text
    assert caplog.text.count("leads nowhere") == 2


def test_bad_folders_are_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="--source"):
        find_sources(None)
    with pytest.raises(InputError, match="no folder"):
        find_sources(tmp_path / "missing")
    with pytest.raises(InputError, match=r"is no folder.*manifest"):
        find_sources(tmp_path / "file")
    with pytest.raises(InputError, match="no files"):
        find_sources(tmp_path / "empty")


def test_a_list_without_its_columns_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"x")
    (tmp_path / "captions.csv").write_text("file,text\na.mp4,hello\n")
    with pytest.raises(InputError, match="uri and caption"):
        find_sources(tmp_path)


def test_a_quote_that_never_ends_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    (tmp_path / "captions.csv").write_text('uri,caption\na.mp4,"' + 200_000 * "x")
    with pytest.raises(InputError, match=r"captions\.csv after line \d: field larger"):
        find_sources(tmp_path)


def names(source: Path | str) -> list[str]:
    with find_sources(source) as found:
        return [s.uri for s in found]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("a.mp4", "b.webm", "sub/c.mp4", "sub/deep/d.mp4", "sub/.hidden/e.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "sub" / "c.txt").write_text("beside")
    (tmp_path / "captions.csv").write_text("uri,caption\na.mp4,listed\n")
    return tmp_path


def test_a_glob_stays_within_a_folder_unless_it_has_two_stars(tree: Path) -> None:
    for root in (str(tree), f"file://{tree}"):
        assert names(f"{root}/*.mp4") == [f"{root}/a.mp4"]
        assert names(f"{root}/**/*.mp4") == [f"{root}/{n}" for n in ("a.mp4", "sub/c.mp4", "sub/deep/d.mp4")]
        assert names(f"{root}/[ab].*") == [f"{root}/a.mp4", f"{root}/b.webm"]
    with find_sources(f"{tree}/**/*.mp4") as found:
        assert [s.caption for s in found] == ["listed", "beside", None]
        assert found.root == str(tree)


def test_a_folder_by_uri_is_the_same_as_by_path(tree: Path) -> None:
    with find_sources(f"file://{tree}") as by_uri, find_sources(tree) as by_path:
        assert [s.uri.removeprefix("file://") for s in by_uri] == [s.uri for s in by_path]
        assert [s.caption for s in by_uri] == [s.caption for s in by_path]
        assert [s.fingerprint for s in by_uri] == [s.fingerprint for s in by_path]


def test_a_scheme_of_fsspec_is_listed_too() -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.pipe({"/library/a.mp4": b"x", "/library/a.txt": b"words", "/library/sub/b.mp4": b"y"})
    with find_sources("memory://library") as found:
        assert [(s.uri, s.caption) for s in found] == [
            ("memory://library/a.mp4", "words"), ("memory://library/sub/b.mp4", None)
        ]  # fmt: skip
    with pytest.raises(InputError, match="nosuch"):
        find_sources("nosuch://library")


def test_a_manifest_names_each_source_once_in_order_of_name(tmp_path: Path) -> None:
    (tmp_path / "b.mp4").write_bytes(b"xy")
    (tmp_path / "list.csv").write_text("uri,caption\nb.mp4,first\na.mp4,\nb.mp4,second\n")
    with find_sources(tmp_path / "list.csv") as found:
        assert [(Path(s.uri).name, s.caption) for s in found] == [("a.mp4", None), ("b.mp4", "first")]
        fingerprints = [s.fingerprint for s in found]
        assert fingerprints[0] == "missing"
        assert fingerprints[1].startswith("2-")
        assert (len(found), found.repeated, f"{tmp_path}/b.mp4" in found, "c" in found) == (2, 1, True, False)


def test_memory_stays_flat_as_a_manifest_grows(tmp_path: Path) -> None:
    def peak(rows: int) -> int:
        path = tmp_path / f"{rows}.csv"
        with path.open("w") as file:
            file.write("uri,caption\n")
            file.writelines(f"s3://bucket/{n:07d}.mp4,a caption of some length {n}\n" for n in range(rows))
        tracemalloc.start()
        with find_sources(path) as found:
            assert sum(len(batch) for batch in batches(found, BatchSizer(1.0, 64, 64))) == rows
        result = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return result

    peak(100)  # what is imported and cached on the way
    assert peak(40_000) < 1.5 * peak(10_000)


def test_a_name_that_is_no_text_is_a_source_all_the_same(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.mp4")).write_bytes(b"x")
    assert names(tmp_path) == [f"{tmp_path}/caf\\xe9.mp4"]


def test_a_changed_file_setting_or_caption_makes_another_batch() -> None:
    def id_of(key: str = "key", **changes: str) -> str:
        source = {"uri": "/a.mp4", "caption": "c", "fingerprint": "1", **changes}
        return batch_id([Source(**source)], key)

    ids = {id_of(), id_of(fingerprint="2"), id_of(caption="d"), id_of("other")}
    assert len(ids) == 4
    assert id_of() == id_of()
