"""Settings of distillation: the student learns the guided teacher's output and features."""

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from hummingbird.config.section import Section


class DistillSettings(Section):
    """Losses and schedule of distillation."""

    steps: PositiveInt = Field(200, description="optimizer steps")
    minutes: PositiveFloat | None = Field(
        None,
        description="limit of the training time, over which the learning rate then decays; none: all steps",
    )
    batch_size: PositiveInt = Field(4, description="samples a step and worker")
    learning_rate: PositiveFloat = Field(3e-4, description="peak learning rate of AdamW")
    guidance_scale: PositiveFloat | None = Field(
        None, description="guidance scale of the teacher's target; none: what the teacher is sampled with"
    )
    feature_weight: NonNegativeFloat = Field(0.1, description="weight of the feature loss")
