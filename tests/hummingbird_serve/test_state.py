"""Both kinds of state keep the one promise that the jobs stand on: of several who create an entry one succeeds."""

import os
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from hummingbird.config.loading import load_settings
from hummingbird.core.errors import InputError
from hummingbird.core.remote_path import RemotePath
from hummingbird_serve.state import FolderState, SqlState, State, open_state, shared_secret


@pytest.fixture(params=["folder", "sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> State:
    if request.param == "postgresql":
        place = request.getfixturevalue("database")
    else:
        place = str(tmp_path / "jobs") if request.param == "folder" else f"sqlite:///{tmp_path}/jobs.db"
    opened = open_state(place)
    assert isinstance(opened, FolderState if request.param == "folder" else SqlState)
    return opened


def test_an_entry_is_created_once(state: State) -> None:
    with ThreadPoolExecutor(8) as threads:
        won = list(threads.map(lambda n: (state.create("one", b"%d" % n), b"%d" % n), range(16)))
    (content,) = [content for first, content in won if first]
    assert state.read("one") == content


def test_entries_are_written_read_and_removed(state: State) -> None:
    assert (state.read("one"), state.names()) == (None, [])
    for content in (b"first", b"second"):
        state.write("one", content)
        assert state.read("one") == content
    assert not state.create("one", b"third")
    state.create("other", b"")
    assert sorted(state.names()) == ["one", "other"]
    for _ in range(2):
        state.remove("one")
    assert (state.names(), state.read("one")) == (["other"], None)


def test_the_secret_is_the_same_for_all(state: State) -> None:
    assert shared_secret(state) == shared_secret(state)
    assert len(shared_secret(state)) == 32


def test_others_cannot_read_the_secret(tmp_path: Path) -> None:
    shared_secret(FolderState(tmp_path))
    assert (tmp_path / "secret").stat().st_mode & 0o077 == 0


def test_what_a_killed_writer_left_is_no_entry_and_goes(tmp_path: Path) -> None:
    old, new = tmp_path / ".one.request.ab12", tmp_path / ".two.request.cd34"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (0, time.time() - 7200))
    assert FolderState(tmp_path).names() == []
    assert (old.exists(), new.exists()) == (False, True)


def test_a_place_that_cannot_create_only_once_is_refused() -> None:
    with pytest.raises(InputError, match=r"set serve\.jobs"):
        FolderState(RemotePath("mock://bucket/jobs"))


def test_a_database_that_is_not_there_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"serve\.jobs: cannot open sqlite"):
        open_state(f"sqlite:///{tmp_path}/no/folder/jobs.db")


def test_no_message_of_a_database_holds_what_was_to_be_kept(tmp_path: Path) -> None:
    state = open_state(f"sqlite:///{tmp_path}/jobs.db")
    with closing(sqlite3.connect(tmp_path / "jobs.db")) as connection:
        connection.execute("drop table hummingbird_serve")
    with pytest.raises(OSError, match="no such table") as failed:
        state.write("secret", b"hush-hush")
    assert "hush" not in str(failed.value)


@pytest.mark.parametrize("options", ["ada:hush@host/name", "host/name?user=ada&password=hush"])
def test_a_password_in_the_setting_is_refused_and_not_shown(options: str) -> None:
    with pytest.raises(InputError, match="must not hold a password") as refused:
        load_settings(None, [f"serve.jobs=postgresql://{options}"])
    assert "hush" not in str(refused.value)
