"""Where API keys come from, and what is wrong with files of them."""

from pathlib import Path

import pytest
from hummingbird.core.errors import InputError
from hummingbird_serve.keys import ApiKey, KeyRing, check_names, environment_keys, hashed, read_key_file
from hummingbird_serve.policy import load_policy
from hummingbird_serve.requests import APIError


def test_keys_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUMMINGBIRD_TOKEN", "a")
    monkeypatch.setenv("HUMMINGBIRD_API_KEYS", "alice=b, bob=c=d")
    assert [(key.name, key.sha256) for key in environment_keys()] == [
        ("token", hashed("a")),
        ("alice", hashed("b")),
        ("bob", hashed("c=d")),
    ]
    monkeypatch.setenv("HUMMINGBIRD_API_KEYS", "just-a-key")
    with pytest.raises(InputError, match="name=key"):
        environment_keys()


def test_a_file_of_keys_holds_hashes_and_limits(tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    path.write_text(f"- {{name: alice, sha256: {hashed('a')}, requests_per_minute: 60, max_queued: 4}}\n")
    assert read_key_file(str(path)) == (
        ApiKey(name="alice", sha256=hashed("a"), requests_per_minute=60, max_queued=4),
    )


@pytest.mark.parametrize("text", ["", "[]", "{", "- {name: alice, key: a}", "- {name: a b, sha256: ab}", "3"])
def test_a_file_that_is_no_list_of_keys_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"serve\.api_keys"):
        read_key_file(str(path))
    with pytest.raises(InputError, match="no list of keys"):
        read_key_file(str(tmp_path / "nothing.yaml"))


def test_two_keys_of_one_name_are_refused() -> None:
    with pytest.raises(InputError, match="the same name"):
        check_names([ApiKey(name="a", sha256=hashed("1")), ApiKey(name="a", sha256=hashed("2"))])


def test_guesses_and_requests_are_forgotten_after_a_minute() -> None:
    now = 1000.0
    key = ApiKey(name="a", sha256=hashed("right"), requests_per_minute=1)
    ring = KeyRing([key], 2, b"secret", lambda: now)
    for status in (401, 401, 429):
        with pytest.raises(APIError) as refused:
            ring.identify("wrong", "10.0.0.1")
        assert refused.value.status == status
    with pytest.raises(APIError):
        ring.identify("right", "10.0.0.1")  # may be the next guess
    assert ring.identify("right", "10.0.0.2") == key
    ring.count_request(key)
    with pytest.raises(APIError):
        ring.count_request(key)
    now += 61
    assert ring.identify("right", "10.0.0.1") == key
    ring.count_request(key)


def test_a_session_ends_and_goes_with_its_key() -> None:
    now = 1000.0
    ring = KeyRing([ApiKey(name="a", sha256=hashed("right"))], 2, b"secret", lambda: now)
    session = ring.session(ring.identify("right", ""))
    assert ring.of_session(session)
    assert KeyRing([ApiKey(name="a", sha256=hashed("new"))], 2, b"secret").of_session(session) is None
    assert KeyRing([ApiKey(name="a", sha256=hashed("right"))], 2, b"other").of_session(session) is None
    now += 13 * 3600
    assert ring.of_session(session) is None


@pytest.mark.parametrize("name", ["nothing", "no.such.module:check", "json:nothing", "json:__name__"])
def test_a_policy_that_is_not_there_is_bad_input(name: str) -> None:
    with pytest.raises(InputError, match=r"serve\.prompt_policy"):
        load_policy(name)
    assert load_policy("json:dumps")
