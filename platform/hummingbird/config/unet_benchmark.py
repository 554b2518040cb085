"""Settings of the U-Net benchmark: ours beside diffusers' on the same weights."""

from typing import Literal

from pydantic import Field, PositiveInt

from hummingbird.config.section import AbsolutePath, Section


class UnetBenchmarkSettings(Section):
    """The structure, the input and what is timed. Defaults: a fifth of VideoCrafter2's width, for a CPU."""

    widths: tuple[PositiveInt, ...] = Field(
        (64, 128, 256, 256),
        min_length=2,
        description="channels of the stages; VideoCrafter2: 320,640,1280,1280",
    )
    head_size: PositiveInt = Field(32, description="channels of an attention head; VideoCrafter2: 64")
    in_channels: PositiveInt = Field(4, description="latent channels")
    text_width: PositiveInt = Field(256, description="channels of the text embedding; VideoCrafter2: 1024")
    text_length: PositiveInt = Field(77, description="tokens of the text")
    batch_size: PositiveInt = Field(1, description="videos a pass")
    num_frames: PositiveInt = Field(16, description="frames of a video")
    height: PositiveInt = Field(16, description="height of the latents; 40 for 320 pixels")
    width: PositiveInt = Field(16, description="width of the latents; 64 for 512 pixels")
    folder: AbsolutePath | None = Field(
        None,
        description="where result.json goes, with no run in the lake, whose libraries are then not needed; "
        "none: a run as of every verb",
    )
    device: Literal["cpu", "cuda"] = Field("cpu", description="where it runs")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="bfloat16: a forward pass on weights of that type, a training step by autocast on float32",
    )
    compile: bool = Field(False, description="time both compiled too, ours block by block")
    compile_diffusers: Literal["whole", "blocks", "none"] = Field(
        "whole",
        description="diffusers' compiled as a whole, or block by block as ours, which takes less time",
    )
    compile_training: bool = Field(True, description="the compiled ones' training step too")
    training: bool = Field(True, description="time a training step (forward and backward) too")
    gradient_checkpointing: bool = Field(
        False, description="our training step computes activations again, which diffusers' cannot"
    )
    estimate: bool = Field(
        False, description="estimate the memory of our passes too, as the planner does; minutes at full size"
    )
    warmup_passes: PositiveInt = Field(1, description="passes before the timed ones")
    repeats: PositiveInt = Field(5, description="timed passes each, in turn; medians are reported")
