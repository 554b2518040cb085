"""Settings of encoding: a snapshot of clips to a cache of latents and text embeddings."""

from pydantic import Field, PositiveInt

from hummingbird.config.section import Section


class EncodeSettings(Section):
    """What is encoded, and how."""

    snapshot: int | None = Field(None, description="snapshot of clips; none: the current one")
    num_frames: PositiveInt = Field(16, description="frames a sample")
    width: PositiveInt = Field(64, description="pixels")
    height: PositiveInt = Field(64, description="pixels")
    fps: float = Field(8.0, gt=0, description="frames a second that clips are sampled at")
