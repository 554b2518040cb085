"""Settings of evaluation: models and prompts to scores, videos and a page."""

from pydantic import Field, PositiveInt

from hummingbird.config.section import Section


class EvaluateSettings(Section):
    """Which models are scored on how many prompts."""

    models: tuple[str, ...] = Field((), description="pipeline folders; empty: teacher and student")
    prompts: PositiveInt = Field(200, description="number of prompts")
    seed: int = Field(0, ge=0, description="seed of prompts and noise")
