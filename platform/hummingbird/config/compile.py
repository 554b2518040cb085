"""Settings of compilation: a model and a device to a package that a replica loads in seconds."""

from typing import Literal

from pydantic import Field, PositiveInt

from hummingbird.config.section import Section


class CompileSettings(Section):
    """What is compiled for what. The batch size is free up to its bound; everything else is fixed."""

    model: str | None = Field(None, description="pipeline folder; none: models.student, else the shipped one")
    device: Literal["cpu", "cuda"] = Field("cpu", description="device that the package is for")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="type of U-Net and decoder; the text encoder stays in float32"
    )
    decoder: Literal["small", "full", "both"] = Field(
        "small",
        description="the decoder in the package: the small one, the autoencoder's, or both (of a model with one, that)",
    )
    max_batch_size: PositiveInt = Field(4, description="most videos in one pass")
    num_frames: PositiveInt = Field(16, description="frames of a video")
