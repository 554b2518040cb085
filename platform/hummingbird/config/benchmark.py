"""Settings of the benchmark: models side by side, end to end."""

from pydantic import Field, PositiveInt

from hummingbird.config.section import Section


class BenchmarkSettings(Section):
    """What is timed and how often."""

    repeats: PositiveInt = Field(3, description="timed videos a model, after one that is not timed")
