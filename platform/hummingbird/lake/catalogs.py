"""Opening the Iceberg catalog: its properties, completed from the environment, and its errors in sentences.

Without properties it is SQLite in the storage folder. Whatever the properties name, the warehouse is reached with the
credentials, the region and the endpoint that the rest of the storage is reached with (``AWS_ACCESS_KEY_ID``, ...).
"""

import functools
import random
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.exceptions import (
    CommitFailedException,
    NotInstalledError,
    RESTError,
    ServerError,
    ServiceUnavailableError,
    TooManyRequestsError,
)
from pyiceberg.utils.config import Config
from sqlalchemy.exc import IntegrityError, ProgrammingError, SQLAlchemyError

from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.core.masking import mask_text
from hummingbird.core.remote_path import RemotePath, s3_options

NAME = "hummingbird"
"""Of the catalog: what pyiceberg's variables of the environment begin with, PYICEBERG_CATALOG__HUMMINGBIRD__."""

_S3 = {
    "endpoint_override": "s3.endpoint",
    "region": "s3.region",
    "access_key": "s3.access-key-id",
    "secret_key": "s3.secret-access-key",
    "session_token": "s3.session-token",
}
_CALLS = (
    "create_namespace_if_not_exists", "create_table_if_not_exists", "load_table", "commit_table",
)  # fmt: skip
_OVERTAKEN = "than last sequence number"
_OPENINGS = 10
_RACES = (IntegrityError, ProgrammingError)
_PASSING = (ServerError, ServiceUnavailableError, TooManyRequestsError, requests.ConnectionError)
_WAITS = (0.2, 0.5, 1.0, 2.0, 4.0)  # seconds
_FAILURES = (RESTError, SQLAlchemyError, requests.RequestException)
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class CatalogError(InputError):
    """The catalog does not answer, or refuses; what was under way is not in it."""


def open_catalog(settings: Settings) -> Catalog:
    """The catalog of the settings.

    Raises:
        InputError: it cannot be reached, or the storage is a URI and no catalog is named. Its methods raise
            `CatalogError` where that happens later.
    """
    properties = catalog_properties(settings)
    kind, uri = properties.get("type"), properties.get("uri", "")
    where = f"the {kind} catalog" + (f" at {mask_text(uri)}" if uri else "")
    for opening in range(_OPENINGS):
        try:
            catalog = load_catalog(NAME, **properties)
            break
        except (ModuleNotFoundError, NotInstalledError) as error:
            missing = getattr(error.__context__ or error, "name", None) or "of its driver"
            raise InputError(
                f"{where} needs the package {missing}, which is not installed: pip install hummingbird[postgres] "
                "brings PostgreSQL's"
            ) from error
        except Exception as error:  # each catalog type has errors of its own
            if not isinstance(error, _RACES) or opening == _OPENINGS - 1:
                raise InputError(f"cannot open {where}: {_reason(error)}") from error
            time.sleep(random.uniform(0, 0.5))  # another process makes the catalog's own tables now
    for name in _CALLS:
        call = getattr(catalog, name)
        # A commit that has no answer may have been made: it is not sent again.
        setattr(catalog, name, _explained(call if name == "commit_table" else _repeated(call), where))
    return catalog


def catalog_properties(settings: Settings) -> dict[str, str]:
    """The properties that are given, in the settings or pyiceberg's own variables, and what follows from the
    environment.

    Raises:
        InputError: the storage is a URI and no catalog is named.
    """
    given = settings.catalog.properties
    elsewhere = Config().get_catalog_config(NAME) or {}
    if not given and "uri" not in elsewhere:
        if isinstance(settings.storage, RemotePath):
            raise InputError(
                f"the storage {settings.storage} is no local folder, where SQLite could keep the catalog: name one in "
                "catalog.properties (type: rest or sql, uri, warehouse)"
            )
        return {
            "type": "sql",
            "uri": f"sqlite:///{settings.storage / 'catalog.db'}",
            "warehouse": f"file://{settings.storage / 'warehouse'}",
        }
    properties = {**{key: str(value) for key, value in elsewhere.items()}, **given}
    return {**_from_environment(properties), **properties}


def sqlite_file(properties: Mapping[str, str]) -> Path | None:
    """The file of an SQLite catalog; none: it is another."""
    _, is_sqlite, file = properties.get("uri", "").partition("sqlite:///")
    return Path(file).absolute() if is_sqlite and file != ":memory:" else None


def _from_environment(properties: Mapping[str, str]) -> dict[str, str]:
    options = s3_options()
    more = {_S3[name]: value for name, value in options.items() if name in _S3}
    own = {"credential", "token", "auth"} & set(properties)
    keys = [options.get("access_key"), options.get("secret_key")]
    same = _host(properties.get("uri", "")) == _host(options.get("endpoint_override", ""))
    # Only to the host that has these keys already: S3 servers that are a catalog too take them for both.
    if properties.get("type") == "rest" and not own and all(keys) and same:
        more["credential"] = ":".join(map(str, keys))
    return more


def _host(url: str) -> str | None:
    host = urlsplit(url).hostname
    return "localhost" if host in _LOOPBACK else host


def _repeated(call: Callable[..., Any]) -> Callable[..., Any]:
    """Asks again where a server is not well for a moment."""

    @functools.wraps(call)
    def repeated(*args: Any, **kwargs: Any) -> Any:
        for wait in _WAITS:
            try:
                return call(*args, **kwargs)
            except _PASSING:
                time.sleep(wait * random.uniform(0.5, 1.5))
        return call(*args, **kwargs)

    return repeated


def _explained(call: Callable[..., Any], where: str) -> Callable[..., Any]:
    @functools.wraps(call)
    def explained(*args: Any, **kwargs: Any) -> Any:
        try:
            return call(*args, **kwargs)
        except (ValueError, *_FAILURES) as error:
            # On another branch, or with a namespace or table: neither pyiceberg nor servers have a name for it.
            if _OVERTAKEN in str(error) or isinstance(error, IntegrityError):
                raise CommitFailedException(str(error)) from error
            if not isinstance(error, _FAILURES):
                raise
            raise CatalogError(
                f"{where} failed: {_reason(error)}; what was committed stays, and the same command goes on from there"
            ) from error

    return explained


def _reason(error: Exception) -> str:
    lines = str(error).splitlines() or [type(error).__name__]
    return mask_text(lines[0].strip())
