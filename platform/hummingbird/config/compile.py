"""Settings of compilation: a model and a device to a package that a replica loads in seconds."""

from typing import Literal

from pydantic import Field

from hummingbird.config.section import Section


class CompileSettings(Section):
    """What is compiled for what."""

    model: str | None = Field(None, description="pipeline folder; none: the student")
    device: Literal["cpu", "cuda"] = Field("cpu", description="device that the package is for")
