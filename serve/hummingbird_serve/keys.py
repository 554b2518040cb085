"""API keys: whose they are, what they may, and how often a stranger may guess."""

import hashlib
import hmac
import os
import re
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

import yaml
from hummingbird.config.section import Section
from hummingbird.core.errors import InputError
from pydantic import Field, PositiveInt, TypeAdapter, ValidationError

from hummingbird_serve.requests import APIError

TOKEN = "HUMMINGBIRD_TOKEN"
KEYS = "HUMMINGBIRD_API_KEYS"
SESSION_SECONDS = 12 * 3600

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class ApiKey(Section):
    """A key, of which only the hash is known, and its limits; none: no limit of its own."""

    name: Annotated[str, Field(pattern=_NAME.pattern)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    requests_per_minute: PositiveInt | None = None
    max_queued: PositiveInt | None = None


def read_key_file(path: str) -> tuple[ApiKey, ...]:
    """The keys of a YAML file, a list of `ApiKey`.

    Raises:
        InputError: it is not there, or not such a list.
    """
    try:
        keys = TypeAdapter(tuple[ApiKey, ...]).validate_python(
            tuple(yaml.safe_load(Path(path).read_text()) or ())
        )
    except (OSError, yaml.YAMLError, ValidationError, TypeError, UnicodeDecodeError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else type(error).__name__
        raise InputError(
            f"serve.api_keys: {path} is no list of keys, each with name and sha256 ({reason})"
        ) from error
    if not keys:
        raise InputError(f"serve.api_keys: {path} holds no key")
    return keys


def environment_keys() -> tuple[ApiKey, ...]:
    """The keys of the environment: HUMMINGBIRD_TOKEN, and HUMMINGBIRD_API_KEYS as ``name=key,name=key``.

    Raises:
        InputError: HUMMINGBIRD_API_KEYS has another form.
    """
    found = []
    if token := os.environ.get(TOKEN):
        found.append(ApiKey(name="token", sha256=hashed(token)))
    for pair in filter(None, (part.strip() for part in os.environ.get(KEYS, "").split(","))):
        name, separator, key = pair.partition("=")
        if not separator or not key or not _NAME.fullmatch(name):
            raise InputError(f"{KEYS} must be name=key,name=key; names of letters, digits and _.-")
        found.append(ApiKey(name=name, sha256=hashed(key)))
    return tuple(found)


def check_names(keys: Iterable[ApiKey]) -> tuple[ApiKey, ...]:
    """The keys. Raises InputError where two have one name or one hash."""
    keys = tuple(keys)
    for attribute in ("name", "sha256"):
        values = [getattr(key, attribute) for key in keys]
        if len(set(values)) < len(values):
            raise InputError(f"two API keys have the same {attribute}: each needs its own")
    return keys


def hashed(key: str) -> str:
    """SHA-256 in hexadecimal. Keys are long and random, so that a slow hash would add nothing."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


class KeyRing:
    """Tells keys from guesses. Counts are those of one process.

    Args:
        keys: what is accepted; none: the server asks for no key.
        guesses_per_minute: wrong keys from one address, after which only those go on that were right from there.
        secret: signs sessions; the same on all servers of a storage.
        clock: seconds, for tests.
    """

    def __init__(
        self,
        keys: Iterable[ApiKey],
        guesses_per_minute: int,
        secret: bytes,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._by_hash = {key.sha256: key for key in check_names(keys)}
        self._by_name = {key.name: key for key in self._by_hash.values()}
        self._guesses_per_minute, self._secret, self._clock = guesses_per_minute, secret, clock
        self._guesses: dict[str, deque[float]] = {}
        self._right: set[tuple[str, str]] = set()
        self._requests: dict[str, deque[float]] = {}

    def __bool__(self) -> bool:
        return bool(self._by_hash)

    def identify(self, key: str, address: str) -> ApiKey:
        """Whose key it is.

        Raises:
            APIError: 401 nobody's; 429 too many wrong ones came from this address.
        """
        digest = hashed(key)
        found = self._by_hash.get(digest)
        if found is None or (address, digest) not in self._right:
            guesses = self._recent(self._guesses, address)
            if len(guesses) >= self._guesses_per_minute:
                wait = self._wait(guesses)
                raise APIError(
                    429, "too many wrong API keys; wait", None, "too_many_guesses", retry_after=wait
                )
            if found is None:
                guesses.append(self._clock())
                raise APIError(
                    401, "send an API key of this server: Authorization: Bearer KEY", None, "invalid_api_key"
                )
            self._right.add((address, digest))
            if len(self._right) > 10_000:
                self._right = {(address, digest)}
        return found

    def count_request(self, key: ApiKey) -> None:
        """Counts a request of a key.

        Raises:
            APIError: 429, it has made as many as it may.
        """
        if key.requests_per_minute is None:
            return
        requests = self._recent(self._requests, key.name)
        if len(requests) >= key.requests_per_minute:
            message = f"your key may send {key.requests_per_minute} requests a minute"
            raise APIError(429, message, None, "rate_limit_exceeded", retry_after=self._wait(requests))
        requests.append(self._clock())

    def session(self, key: ApiKey) -> str:
        """A cookie that stands for the key for some hours."""
        payload = f"{key.name}|{key.sha256[:16]}|{int(self._clock() + SESSION_SECONDS)}"
        return f"{payload}|{self._sign(payload)}"

    def of_session(self, cookie: str) -> ApiKey | None:
        """The key of a session; none: forged, over, or the key is not one any more."""
        payload, _, signature = cookie.rpartition("|")
        if not hmac.compare_digest(signature.encode(), self._sign(payload).encode()):
            return None
        name, start, until = payload.split("|")
        key = self._by_name.get(name)
        valid = key is not None and key.sha256.startswith(start) and int(until) > self._clock()
        return key if valid else None

    def _sign(self, payload: str) -> str:
        return hmac.new(self._secret, payload.encode("utf-8", "replace"), hashlib.sha256).hexdigest()

    def _recent(self, counts: dict[str, deque[float]], name: str) -> deque[float]:
        """The times of the last minute, of this name alone; forgets names of which there are none."""
        past = self._clock() - 60
        if len(counts) > 10_000:
            for other in [other for other, times in counts.items() if not times or times[-1] <= past]:
                del counts[other]
        times = counts.setdefault(name, deque())
        while times and times[0] <= past:
            times.popleft()
        return times

    def _wait(self, times: deque[float]) -> int:
        return max(1, int(times[0] + 60 - self._clock()) + 1)
