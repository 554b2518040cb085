"""What licences say, as far as it can be told by their names."""

import re

_NONCOMMERCIAL = re.compile(r"(^|[-_. ])nc($|[-_. 0-9])|non-?commercial|research-only|^unknown$|^other$")


def forbids_commercial_use(licence: str) -> bool:
    """Whether a licence, as a model card names it, forbids commercial use or says nothing about it."""
    return _NONCOMMERCIAL.search(licence.lower()) is not None
