"""Settings of quickstart: the whole line on the small world."""

from pydantic import Field

from hummingbird.config.section import Section


class QuickstartSettings(Section):
    """How large a line is run."""

    preset: str = Field("default", description="size of the line: ci, default or long")
