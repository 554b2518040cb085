"""Settings of the generated footage of the shapes world."""

from pydantic import Field, PositiveInt

from hummingbird.config.section import Section


class FootageSettings(Section):
    """How much raw footage is drawn, and with which defects."""

    seed: int = Field(0, ge=0, description="seed of the footage")
    files: PositiveInt = Field(24, description="number of video files")
    shots: PositiveInt = Field(4, description="mean number of shots a file")
