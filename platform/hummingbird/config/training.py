"""Settings of the one trainer, shared by every method."""

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt

from hummingbird.config.section import Section


class TrainingSettings(Section):
    """Ray Train with DeepSpeed: workers, sharding, checkpoints, recovery."""

    workers: PositiveInt = Field(2, description="training workers")
    gpu: bool = Field(False, description="one GPU a worker")
    zero_stage: Literal[0, 1, 2, 3] = Field(2, description="DeepSpeed ZeRO stage")
    precision: Literal["fp32", "bf16"] = Field("fp32", description="precision of the training step")
    clip: PositiveFloat = Field(1.0, description="limit of the gradient's norm")
    max_failures: int = Field(2, ge=0, description="restarts after a lost worker")
    checkpoint_every: PositiveInt = Field(50, description="steps between checkpoints")
