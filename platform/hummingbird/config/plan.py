"""Settings of the planner: what a model costs, what fits where, and a plan under a budget."""

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt, field_validator

from hummingbird.config.gates import GateSettings
from hummingbird.config.section import Section


class PlanSettings(Section):
    """The model, what is done with it on what, and the budget of a new plan."""

    model: str = Field(
        "videocrafter2", min_length=1, description="videocrafter2, a pipeline folder or shapes-teacher"
    )
    plan: str = Field(
        "hummingbird-0.7b",
        min_length=1,
        description="hummingbird-0.9b, hummingbird-0.7b, shapes-student or a YAML file; a budget makes a new one "
        "instead",
    )
    budget: tuple[str, ...] = Field(
        (),
        description="params=, flops= (a share up to 1 of the model's, or a number) and ms= (milliseconds a "
        "pass on this device); one or several, and all are met",
    )
    height: PositiveInt | None = Field(None, description="pixels; none: what the model was made for")
    width: PositiveInt | None = Field(None, description="pixels; none: what the model was made for")
    num_frames: PositiveInt = Field(16, description="frames of a video")
    method: Literal["inference", "distill", "feedback"] = Field("feedback", description="what memory is for")
    gpus: PositiveInt = Field(4, description="GPUs, one training worker each")
    gpu_memory: PositiveFloat = Field(80.0, description="memory of a GPU in GiB")
    zero_stage: Literal[0, 1, 2, 3] = Field(2, description="DeepSpeed ZeRO stage")
    batch_size: PositiveInt = Field(1, description="videos a step and GPU")
    mixed_precision: Literal["fp32", "bf16"] = Field(
        "bf16", description="of passes; trained weights stay float32"
    )
    gradient_checkpointing: bool = Field(True, description="as training.gradient_checkpointing")
    decoder: Literal["small", "full"] = Field("full", description="decoder of inference and feedback")

    timing: Literal["auto", "on", "off"] = Field(
        "auto",
        description="milliseconds of a pass on this machine, before and after; auto: on a GPU, and on a CPU up to "
        "0.2 TFLOP a pass",
    )

    calibration_clips: PositiveInt = Field(8, description="calibration clips from the cache of latents")
    calibration_timesteps: PositiveInt = Field(
        5, description="evenly spaced timesteps that importance is measured at"
    )
    calibration_batch_size: PositiveInt = Field(
        1, description="calibration clips a pass; 1 needs the memory of one pass, more are quicker on a GPU"
    )
    rounds: PositiveInt = Field(
        6, description="times that importance is measured, each on what the round before left"
    )
    importance: Literal["measured", "learned", "both"] = Field(
        "measured",
        description="how a budget decides what goes: by the output's change without a unit; by gates that are trained "
        "together within the budget; both: gates that begin in the order of what was measured",
    )
    gates: GateSettings = GateSettings()
    workers: PositiveInt = Field(2, description="Ray workers that measure importance")

    @field_validator("timing", mode="before")
    @classmethod
    def _read_yaml(cls, value: object) -> object:
        """YAML reads on and off as true and false."""
        return {True: "on", False: "off"}[value] if isinstance(value, bool) else value
