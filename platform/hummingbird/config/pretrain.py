"""Settings of pretraining the shapes world's small models."""

from pydantic import Field, PositiveInt

from hummingbird.config.section import Section


class PretrainSettings(Section):
    """Which model is pretrained, and for how long."""

    part: str = Field("teacher", description="the model to train")
    steps: PositiveInt = Field(1000, description="optimizer steps")
