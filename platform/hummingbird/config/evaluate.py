"""Settings of evaluation: models and prompts to scores, videos and intervals."""

from typing import Literal, Self

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from hummingbird.config.plugins import PluginChoice
from hummingbird.config.section import AbsolutePath, Section

Decoder = Literal["full", "small"]


class EvaluatedModel(Section):
    """One model as it is evaluated. What is not given follows from the settings and from the model."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]*$", description="what tables and pictures call it"
    )
    path: str = Field(description="pipeline folder, or a name of shipped weights")
    num_inference_steps: PositiveInt | None = Field(None, description="denoising steps")
    guidance_scale: PositiveFloat | None = Field(
        None, description="guidance scale, also of a few-step student, which embeds one less"
    )
    decoder: Decoder | None = Field(None, description="full: the autoencoder's; small: the small decoder")
    num_frames: PositiveInt | None = Field(
        None, description="frames of a video; none: as evaluate.num_frames"
    )
    window_frames: int | None = Field(
        None, ge=2, description="frames that a pass sees of a longer video, in overlapping windows; none: all"
    )


class EvaluateSettings(Section):
    """Which models are scored on how many prompts, and how they sample."""

    models: tuple[EvaluatedModel, ...] = Field(
        (), description="models, the first being the one compared with; empty: teacher and student"
    )
    suite: PluginChoice | None = Field(
        None,
        description="what is measured on what: shapes, vbench, prompts, or module:Class, alone or with its settings; "
        "none: prompts for a file of prompts, else shapes",
    )
    prompts: PositiveInt | AbsolutePath = Field(
        200,
        description='how many of the suite\'s own prompts, or a file with lines {"prompt": "...", "seed": 3}, '
        "or VBench_full_info.json",
    )
    seeds_per_prompt: PositiveInt = Field(
        1, description="videos of a prompt that names no seeds of its own; VBench makes 5"
    )
    seed: NonNegativeInt = Field(0, description="seed of prompts, of noise and of the intervals")
    num_inference_steps: PositiveInt = Field(
        50, description="DDIM steps of models that are no few-step students"
    )
    few_step_inference_steps: PositiveInt = Field(4, description="steps of few-step students")
    guidance_scale: NonNegativeFloat | None = Field(
        None, description="guidance scale of all models; none: what each was made for"
    )
    decoder: Decoder = Field("full", description="decoder of models that are no few-step students")
    few_step_decoder: Decoder = Field("small", description="decoder of few-step students")
    num_frames: PositiveInt = Field(16, description="frames of a video")
    fps: PositiveInt = Field(8, description="frames a second")
    batch_size: PositiveInt = Field(4, description="videos a pass of the model")
    mixed_precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="of the U-Net, the same for all models; auto: bf16 where the device is fast at it"
    )
    timed_videos: NonNegativeInt = Field(
        0,
        description="videos a model that are timed one by one, all models in turn: the report's frontier; 0: none",
    )
    resamples: int = Field(1000, ge=100, description="bootstrap samples behind the 95 % intervals")

    @model_validator(mode="after")
    def _have_distinct_names(self) -> Self:
        names = [model.name for model in self.models]
        if len(set(names)) < len(names):
            raise ValueError(f"models need distinct names, not {', '.join(names)}")
        return self
