"""Secrets, wherever something is printed, stored or refused: what is one, and what stands in its place.

A value is a secret when its name says so (``s3.secret-access-key``, ``credential``, ``api_key``), or as the password of
a URI (``postgresql://user:password@host``) or the signature of one.
"""

import re
from collections.abc import Mapping
from typing import Any

MASK = "***"

_NAMES = (
    r"(?:[\w.\-]*[._\-])?(?:secret|token|password|passwd|pwd|passphrase|credentials?|authorization|signature|"
    r"(?:api|account|private|access)[._\-]?key|connection[._\-]string)(?:[._\-](?:access[._\-])?key)?"
)
_SECRET_NAME = re.compile(_NAMES, re.IGNORECASE)
# Up to the last @: what reads such URIs takes slashes too. Digits and a slash are a port.
_PASSWORD = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]*://)(?P<user>[^/@\s:'\"]*):(?!\d+/)[^\s'\"]*@")
_NAMED = re.compile(
    rf"(?P<name>(?<![\w.\-])['\"]?{_NAMES}['\"]?\s*[:=]\s*)(?P<value>'[^']*'|\"[^\"]*\"|(?:Bearer\s+)?[^\s,;&'\"}})]+)",
    re.IGNORECASE,
)


def is_secret_name(name: str) -> bool:
    """Whether a value of this name (of a setting, catalog property, parameter) is a secret."""
    return _SECRET_NAME.fullmatch(name) is not None


def mask_text(text: str) -> str:
    """The text without passwords in its URIs, and without the values of what is named like a secret."""
    return _NAMED.sub(rf"\g<name>{MASK}", _PASSWORD.sub(rf"\g<scheme>\g<user>:{MASK}@", text))


def mask(value: Any) -> Any:
    """A value as JSON or YAML holds it, with its secrets masked however deep they lie."""
    if isinstance(value, Mapping):
        return {
            key: MASK if is_secret_name(str(key)) and item is not None else mask(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [mask(item) for item in value]
    return mask_text(value) if isinstance(value, str) else value


def has_password(uri: str) -> bool:
    """Whether a text holds a URI with a password in it."""
    return _PASSWORD.search(uri) is not None
