"""Settings of encoding: a snapshot of clips to a cache of latents and text embeddings."""

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from hummingbird.config.section import Section


class EncodeSettings(Section):
    """What is encoded, and how."""

    snapshot: int | None = Field(None, description="snapshot of clips; none: the current one")
    num_frames: PositiveInt = Field(16, description="frames a sample")
    size: PositiveInt = Field(64, description="pixels: samples are square, cropped from the center")
    fps: PositiveFloat = Field(8.0, description="frames a second that clips are sampled at")
    part_clips: PositiveInt = Field(64, description="clips in one file of the cache: the unit of a restart")
    actors: PositiveInt | None = Field(
        None,
        description="actors that hold the autoencoder and the text encoder; none: 1, but of small models on CPUs each "
        "process that encodes holds a copy",
    )
    model_gpus: NonNegativeFloat = Field(0.0, description="GPUs of each of these actors")
