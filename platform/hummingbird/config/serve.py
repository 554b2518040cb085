"""Settings of serving: the generator, the video API and the page."""

from pydantic import Field, PositiveInt

from hummingbird.config.section import Section


class ServeSettings(Section):
    """What is served and where."""

    model: str | None = Field(None, description="compiled package or pipeline folder; none: the student")
    host: str = Field("127.0.0.1", description="address to listen on")
    port: PositiveInt = Field(8000, lt=65536, description="port to listen on")
