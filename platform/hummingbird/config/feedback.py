"""Settings of feedback: consistency distillation to few steps with image and video rewards."""

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from hummingbird.config.section import Section


class FeedbackSettings(Section):
    """Losses and schedule of the few-step stage."""

    steps: PositiveInt = Field(200, description="optimizer steps")
    batch: PositiveInt = Field(2, description="samples a step and worker")
    learning_rate: PositiveFloat = Field(1e-4, description="peak learning rate of AdamW")
    image_reward: NonNegativeFloat = Field(1.0, description="weight of the image reward")
    video_reward: NonNegativeFloat = Field(2.0, description="weight of the video reward")
