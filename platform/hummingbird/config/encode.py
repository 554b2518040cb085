"""Settings of encoding: a snapshot of clips to a cache of latents and text embeddings."""

from typing import Annotated, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from hummingbird.config.section import Section


class EncodeSettings(Section):
    """What is encoded, and how."""

    snapshot: int | None = Field(None, description="snapshot of clips; none: the current one")
    height: PositiveInt | None = Field(None, description="pixels of a sample; none: the teacher's own")
    width: PositiveInt | None = Field(None, description="pixels of a sample; none: the teacher's own")
    num_frames: PositiveInt = Field(16, description="frames a sample")
    buckets: tuple[Annotated[str, Field(pattern=r"^[1-9]\d*x[1-9]\d*x[1-9]\d*$")], ...] = Field(
        (),
        description="further sizes of samples, HEIGHTxWIDTHxFRAMES: [512x320x16]; a clip goes to the one whose aspect "
        "is closest to its own of those it is long enough for, and there to the most frames",
    )
    fps: PositiveFloat = Field(8.0, description="frames a second that clips are sampled at")
    max_fps: PositiveFloat | None = Field(
        None,
        description="clips too short for their frames at fps are sampled at a smaller stride, up to so many frames a "
        "second (training hands the rate to the model); none: they are left out",
    )
    trigger: str | None = Field(
        None,
        min_length=1,
        description="a word before every caption, and in place of one that is missing: the name of a style",
    )
    part_clips: PositiveInt = Field(64, description="clips in one file of the cache: the unit of a restart")
    actors: PositiveInt | None = Field(
        None,
        description="actors that hold the autoencoder and the text encoder; none: 1, but of small models on CPUs each "
        "process that encodes holds a copy",
    )
    model_gpus: NonNegativeFloat = Field(0.0, description="GPUs of each of these actors")

    @model_validator(mode="after")
    def _rates_are_in_order(self) -> Self:
        if self.max_fps is not None and self.max_fps < self.fps:
            raise ValueError(f"max_fps ({self.max_fps:g}) must not be below fps ({self.fps:g})")
        return self
