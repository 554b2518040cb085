"""Places: the same calls on a local folder and on a URI."""

import pickle
import uuid
from pathlib import Path

import pytest
from hummingbird.config.loading import load_settings
from hummingbird.core.errors import InputError
from hummingbird.core.files import AnyPath, as_path, create, file_size, remove_tree, write_atomically
from hummingbird.core.remote_path import RemotePath


@pytest.fixture(params=["local", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> AnyPath:
    """An empty folder of either kind, with odd characters in its name."""
    if request.param == "local":
        return tmp_path / "a b#c%20d"
    return RemotePath(f"memory://{uuid.uuid4().hex}/a b#c%20d")


def test_files_are_written_read_listed_and_removed(place: AnyPath) -> None:
    write_atomically(place / "x" / "part-1.txt", b"one")
    (place / "x" / "part-0.txt").write_text("zero é", encoding="utf-8")
    with (place / "x" / "other").open("wb") as file:
        file.write(b"12345")
    assert (place / "x" / "part-1.txt").read_bytes() == b"one"
    assert (place / "x" / "part-0.txt").read_text(encoding="utf-8") == "zero é"
    with (place / "x" / "part-0.txt").open("r", encoding="utf-8") as text:
        assert text.read() == "zero é"
    assert [path.name for path in sorted((place / "x").glob("part-*.txt"))] == ["part-0.txt", "part-1.txt"]
    assert sorted(path.name for path in (place / "x").iterdir()) == ["other", "part-0.txt", "part-1.txt"]
    assert (place / "x" / "other").is_file()
    assert (place / "x").is_dir()
    assert not (place / "y").exists()
    (place / "x" / "other").unlink()
    (place / "x" / "other").unlink(missing_ok=True)
    with pytest.raises(FileNotFoundError):
        (place / "x" / "other").unlink()
    with pytest.raises(FileNotFoundError):
        (place / "x" / "other").read_bytes()
    remove_tree(place / "x")
    remove_tree(place / "x")
    assert not (place / "x").exists()


def test_a_file_is_created_once(place: AnyPath) -> None:
    create(place / "lock", b"mine")
    with pytest.raises(FileExistsError):
        create(place / "lock", b"yours")
    assert (place / "lock").read_bytes() == b"mine"
    assert [path.name for path in place.iterdir()] == ["lock"]


def test_where_a_file_cannot_be_created_conditionally_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot create"):
        create(RemotePath(f"local://{tmp_path}/x"), b"")


def test_parts_of_a_uri() -> None:
    path = RemotePath("s3://bucket/a//b.tar.gz/")
    assert str(path) == "s3://bucket/a/b.tar.gz"
    assert (path.name, path.stem, path.suffix) == ("b.tar.gz", "b.tar", ".gz")
    assert str(path.parent.parent) == str(path.parent.parent.parent) == "s3://bucket"
    assert str(path.with_suffix(".zip")) == "s3://bucket/a/b.tar.zip"
    assert (path / "c").relative_to(path).as_posix() == "c"
    assert pickle.loads(pickle.dumps(path)) == path  # noqa: S301
    for wrong in ("no uri", "s3://bucket/../x"):
        with pytest.raises(ValueError, match="is no URI"):
            RemotePath(wrong)
    with pytest.raises(ValueError, match="is not below"):
        path / "/c"


def test_a_storage_is_a_folder_or_a_uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings(None, ["storage=here"]).storage == tmp_path / "here"
    assert load_settings(None, ["storage=2024"]).storage == tmp_path / "2024"
    assert load_settings(None, ["storage=file:///x/y"]).storage == Path("/x/y")
    remote = load_settings(None, ["storage=s3://bucket/prefix/"])
    assert remote.storage == as_path("s3://bucket/prefix")
    assert remote.model_dump(mode="json")["storage"] == "s3://bucket/prefix"
    refused = {
        "s3:/bucket": "a URI as text",
        "s3://b?access_key=x": "come from the environment",
        "sftp://me:secret@host/x": "must not hold a password",
    }
    for wrong, why in refused.items():
        with pytest.raises(InputError, match=why) as caught:
            load_settings(None, [f"storage={wrong}"])
        assert "secret" not in str(caught.value)


def test_a_file_has_its_size_and_one_that_is_not_there_none(place: AnyPath) -> None:
    write_atomically(place / "five", b"12345")
    assert file_size(place / "five") == 5
    with pytest.raises(FileNotFoundError):
        file_size(place / "none")
