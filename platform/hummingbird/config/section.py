"""What every section of the settings is made of."""

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict


def _absolute(path: Path) -> Path:
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", str(path)):  # a path has one slash of a URI's two
        raise ValueError("must be a path of the file system, not a URI")
    return path.expanduser().absolute()


AbsolutePath = Annotated[Path, AfterValidator(_absolute)]
"""A path that is made absolute once, on the driver: workers run in other folders."""


class Section(BaseModel):
    """One section of the settings: frozen, unknown keys refused.

    Give every field a description: ``--help`` of the verbs prints it. From files and the command line types
    are taken strictly (no "3" for 3, no 1 for true).
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        protected_namespaces=(),
        use_attribute_docstrings=True,
    )
