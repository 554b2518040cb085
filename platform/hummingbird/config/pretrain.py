"""Settings of pretraining the shapes world's small models."""

from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from hummingbird.config.section import AbsolutePath, Section


class PretrainSettings(Section):
    """Which model is pretrained, for how long, and where it goes."""

    part: Literal[
        "autoencoder", "decoder", "text", "rewards", "teacher", "student", "quality", "captioner"
    ] = Field(
        "teacher",
        description="the model to train; decoder and teacher need the autoencoder of `weights`, rewards and teacher "
        "its text encoder; student trains nothing: it is what the line shapes-long made in the same storage",
    )
    steps: PositiveInt = Field(20_000, description="optimizer steps at most")
    minutes: PositiveFloat | None = Field(
        None,
        description="stop after this time (the teacher: on whole clips), the rate's decay spread over it",
    )
    clips: PositiveInt = Field(12_000, description="clips that are drawn and encoded once for the teacher")
    image_steps: NonNegativeInt = Field(
        6000,
        description="the teacher's first steps, on single frames, where it starts from weights too; 0: none",
    )
    start: AbsolutePath | None = Field(
        None, description="folder of weights to go on from; none: from scratch"
    )
    learning_rate: PositiveFloat = Field(
        1e-3, description="learning rate of autoencoder, decoder, text encoder, rewards and teacher"
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: a GPU where torch sees one")
    batch_factor: PositiveInt = Field(
        1, description="samples a step, as a multiple of what suits a CPU; a GPU takes 32"
    )
    processes: NonNegativeInt = Field(0, description="processes that draw samples beside the training")
    workers: PositiveInt = Field(
        1, description="processes that train the teacher together (Ray, DeepSpeed), and share a CPU's threads"
    )
    threads: PositiveInt = Field(2, description="threads of torch")
    weights: AbsolutePath | None = Field(
        None, description="folder of weights to read from and to ship the result to; none: the package's own"
    )
