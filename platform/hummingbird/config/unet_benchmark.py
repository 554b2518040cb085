"""Settings of the U-Net benchmark: ours beside diffusers' on the same weights."""

from typing import Literal

from pydantic import Field, PositiveInt

from hummingbird.config.section import Section


class UnetBenchmarkSettings(Section):
    """The structure, the input and what is timed. Defaults: a twentieth of VideoCrafter2's width, for a CPU."""

    widths: tuple[PositiveInt, ...] = Field(
        (64, 128, 256, 256),
        min_length=2,
        description="channels of the stages; VideoCrafter2: 320,640,1280,1280",
    )
    head_size: PositiveInt = Field(32, description="channels of an attention head; VideoCrafter2: 64")
    in_channels: PositiveInt = Field(4, description="latent channels")
    text_width: PositiveInt = Field(256, description="channels of the text embedding; VideoCrafter2: 1024")
    text_length: PositiveInt = Field(77, description="tokens of the text")
    batch: PositiveInt = Field(1, description="videos a pass")
    frames: PositiveInt = Field(16, description="frames of a video")
    height: PositiveInt = Field(16, description="height of the latents; 40 for 320 pixels")
    width: PositiveInt = Field(16, description="width of the latents; 64 for 512 pixels")
    device: Literal["cpu", "cuda"] = Field("cpu", description="where it runs")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="type of the arithmetic (autocast)"
    )
    compile: bool = Field(False, description="time both compiled too: ours by block, diffusers' as a whole")
    training: bool = Field(True, description="time a training step (forward and backward) too")
    warmup: PositiveInt = Field(1, description="passes before the timed ones")
    repeats: PositiveInt = Field(5, description="timed passes each, in turn; medians are reported")
