"""Scratch: copies of what lies at a URI, and work folders that stand for one."""

import os
import uuid
from pathlib import Path

import pytest
from hummingbird.core.errors import InputError
from hummingbird.core.remote_path import RemotePath
from hummingbird.core.scratch import keep_as_copy, local_copy, origin, upload, work_folder


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HUMMINGBIRD_SCRATCH", str(tmp_path / "scratch"))
    monkeypatch.setattr("hummingbird.core.scratch._unchecked", 0.0)
    return tmp_path / "scratch"


@pytest.fixture
def place() -> RemotePath:
    return RemotePath(f"memory://{uuid.uuid4().hex}/a b")


def test_a_local_place_is_its_own_copy(tmp_path: Path, scratch: Path) -> None:
    assert (
        local_copy(tmp_path / "x") == work_folder(tmp_path / "x") == origin(tmp_path / "x") == tmp_path / "x"
    )
    assert not scratch.exists()


def test_a_folder_goes_there_and_comes_back(place: RemotePath) -> None:
    work = work_folder(place)
    (work / "sub").mkdir(parents=True)
    (work / "sub" / "file").write_bytes(b"1")
    (work / ".lock").write_bytes(b"")
    assert origin(work / "sub") == place / "sub"
    upload(work, place)
    assert [str(path) for path, _ in place.files()] == [f"{place}/sub/file"]
    keep_as_copy(work)
    assert not work.exists()
    (place / "sub" / "more").write_bytes(b"22")
    copy = local_copy(place)
    assert {
        path.name: path.read_bytes() for path in copy.rglob("*") if path.is_file() and path.name != ".lock"
    } == {
        "file": b"1",
        "more": b"22",
    }
    assert origin(copy / "sub" / "more") == place / "sub" / "more"


def test_another_machine_that_is_given_a_copy_makes_its_own(
    place: RemotePath, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "model").write_bytes(b"1")
    first = local_copy(place / "model")
    first.unlink()
    assert local_copy(str(first)).read_bytes() == b"1"


def test_a_copy_follows_what_it_is_of(place: RemotePath) -> None:
    (place / "a").write_bytes(b"1")
    (place / "b").write_bytes(b"1")
    local_copy(place)
    (place / "a").write_bytes(b"22")
    (place / "b").unlink()
    copy = local_copy(place)
    assert [path.name for path in copy.iterdir()] == ["a"]
    assert (copy / "a").read_bytes() == b"22"
    (place / "a").write_bytes(b"333")
    assert local_copy(place / "a", unchanging=True).read_bytes() == b"22"


def test_copies_keep_to_their_limit(place: RemotePath, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUMMINGBIRD_SCRATCH_GB", "25e-9")
    for name in "abc":
        (place / name).write_bytes(b"x" * 10)
    long_ago = local_copy(place / "a")
    os.utime(long_ago, (0, 0))
    local_copy(place / "b")
    assert long_ago.exists()
    local_copy(place / "c")
    assert not long_ago.exists()
    assert local_copy(place / "b").exists()  # used within the hour
    (place / "d").write_bytes(b"x" * 30)
    with pytest.raises(InputError, match="HUMMINGBIRD_SCRATCH_GB"):
        local_copy(place / "d")


def test_nothing_there_is_an_error(place: RemotePath) -> None:
    with pytest.raises(FileNotFoundError, match="there is nothing at"):
        local_copy(place)
