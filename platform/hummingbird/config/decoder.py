"""Settings of distilling a small decoder: its size, its schedule and what it is compared by."""

from typing import Annotated

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from hummingbird.config.section import AbsolutePath, Section


class DecoderSettings(Section):
    """Size, loss and schedule of a small decoder."""

    model: str | None = Field(
        None, description="pipeline whose autoencoder's decoder is distilled; none: models.teacher"
    )
    channels: PositiveInt = Field(64, description="width of every layer; TAESD's is 64")
    blocks: Annotated[tuple[NonNegativeInt, ...], Field(min_length=1)] = Field(
        (3, 3, 3, 1),
        description="residual blocks at each size of the picture, the latents' first; TAESD's are 3, 3, 3, 1",
    )
    fine_tune: bool = Field(
        False,
        description="go on from the small decoder that the pipeline has, in place of channels and blocks",
    )
    steps: PositiveInt = Field(20_000, description="optimizer steps")
    minutes: PositiveFloat | None = Field(
        None,
        description="limit of the training time, over which the learning rate then decays; none: all steps",
    )
    batch_size: PositiveInt = Field(4, description="clips a step and worker")
    frames: PositiveInt = Field(4, description="frames of each clip in a step, drawn at random")
    crop: PositiveInt | None = Field(
        32, description="side of the square of latents that is decoded, drawn at random; none: all of them"
    )
    learning_rate: PositiveFloat = Field(5e-4, description="peak learning rate of AdamW")
    scales: PositiveInt = Field(
        3, description="sizes of the picture, each half the one before, whose gradients are compared"
    )
    features: AbsolutePath | None = Field(
        None,
        description="perceptual loss: folder of an image model of transformers (CLIP, SigLIP, DINO, ViT, ResNet, "
        "ConvNeXt) with preprocessor_config.json; none: pixels and their gradients alone",
    )
    features_weight: NonNegativeFloat = Field(0.5, description="weight of the perceptual loss")
    held_out: PositiveInt = Field(
        8, description="clips, the cache's last, that are not trained on and tell the quality"
    )
