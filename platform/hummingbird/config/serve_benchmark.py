"""Settings of the benchmark of serving: a server of its own on loopback, under load and beside another process."""

from pydantic import Field, PositiveFloat, PositiveInt

from hummingbird.config.section import Section


class ServeBenchmarkSettings(Section):
    """How much load, on how many replicas. The server's own settings are those of ``serve``."""

    clients: tuple[PositiveInt, ...] = Field(
        (1, 4, 16), min_length=1, description="clients that each wait for their video, then ask for the next"
    )
    videos: PositiveInt = Field(32, le=1000, description="videos of each load; of one client a quarter of it")
    replicas: tuple[PositiveInt, ...] = Field(
        (1, 2), min_length=1, description="replicas of the student's generator, a server after the other"
    )
    busy: bool = Field(True, description="the largest load once more while another process has all cores")
    start_seconds: PositiveFloat = Field(
        900.0, le=7200.0, description="within which a server must have started, and its student be compiled"
    )
    video_seconds: PositiveFloat = Field(
        300.0, le=3600.0, description="within which a client must have its video"
    )
