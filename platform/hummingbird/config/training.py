"""Settings of the one trainer, shared by every method."""

from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from hummingbird.config.section import Section
from hummingbird.config.watching import WatchingSettings
from hummingbird.core.files import StoragePath


class TrainingSettings(Section):
    """Workers, precision, optimizer, checkpoints and recovery of every training verb."""

    engine: Literal["ray", "process"] = Field(
        "ray", description="ray: Ray Train with DeepSpeed; process: this process alone, with neither"
    )
    cache: StoragePath | None = Field(
        None, description="folder of latents made by encode; none: what the latest encode made"
    )
    workers: PositiveInt = Field(2, description="training workers (on GPUs at most one a GPU)")
    cpus_per_worker: PositiveInt = Field(1, description="CPUs of a worker, and its threads")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: GPUs where there are any")
    mixed_precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto",
        description="of the training step; weights stay fp32; auto: bf16 where the device is fast at it",
    )
    zero_stage: Literal[0, 1, 2, 3] = Field(
        2, description="what DeepSpeed shares out: 1 the optimizer, 2 gradients too, 3 weights too"
    )
    offload_optimizer: bool = Field(
        False,
        description="keep the optimizer's moments, and step, in the machine's memory in place of the GPU's (ZeRO 1 "
        "to 3): less memory, more time",
    )
    gradient_checkpointing: bool = Field(
        False,
        description="compute the student's activations again in the backward pass, a layer at a time: less memory, "
        "more time",
    )
    gradient_accumulation: PositiveInt = Field(
        1,
        description="batches of a worker whose gradients make an optimizer step: the total batch is batch_size x "
        "gradient_accumulation x workers",
    )
    warmup_steps: NonNegativeInt = Field(
        20, description="steps to the peak learning rate; then a cosine to zero"
    )
    weight_decay: NonNegativeFloat = Field(0.0, description="decoupled weight decay of AdamW")
    max_grad_norm: PositiveFloat = Field(1.0, description="limit of the gradient's norm")
    ema_decay: float = Field(
        0.99, ge=0, lt=1, description="decay of the moving average of weights that is saved"
    )
    max_failures: NonNegativeInt = Field(
        2, description="restarts after a lost worker without a checkpoint between them"
    )
    checkpoint_minutes: PositiveFloat | None = Field(
        5.0, description="minutes of training between checkpoints; none: by steps alone"
    )
    checkpoint_every: PositiveInt | None = Field(None, description="steps between checkpoints; none: by time")
    watching: WatchingSettings = WatchingSettings()
    log_every: PositiveInt = Field(
        10,
        description="steps whose losses are reduced over the workers and written together; sooner where they take "
        "more than two seconds",
    )


UNSEEN_IN_RESULTS = frozenset(
    {
        "workers",
        "cpus_per_worker",
        "gradient_checkpointing",
        "offload_optimizer",
        "max_failures",
        "watching",
        "checkpoint_minutes",
        "checkpoint_every",
        "log_every",
    }
)
"""Settings that change nothing of what a training makes but rounding, and are no part of what it is found by: a run
goes on with others. Workers come and go; the total batch goes with them."""
