"""Settings of feedback: its schedule, the few-step method, and the rewards that compose with it."""

from pydantic import Field, PositiveFloat, PositiveInt

from hummingbird.config.lora import LoRASettings
from hummingbird.config.plugins import PluginChoice, PluginTable
from hummingbird.config.section import Section


class FeedbackSettings(Section):
    """Schedule, method and rewards of the few-step stage."""

    steps: PositiveInt = Field(200, description="optimizer steps")
    minutes: PositiveFloat | None = Field(
        None,
        description="limit of the training time, over which the learning rate then decays; none: all steps",
    )
    batch_size: PositiveInt = Field(4, description="samples a step and worker")
    num_frames: PositiveInt | None = Field(
        None, description="frames of a cached sample that are trained on, from its first; none: all"
    )
    learning_rate: PositiveFloat = Field(3e-4, description="peak learning rate of AdamW")
    lora: LoRASettings = LoRASettings()
    method: PluginChoice = Field(
        "consistency",
        description="training method: consistency, as in the paper, phased_consistency or module:Class, alone or "
        "with its settings beneath: {phased_consistency: {phases: 4, target: teacher}}",
    )
    rewards: PluginTable = Field(
        {"shapes_image": {"weight": 1.0}, "shapes_video": {"weight": 2.0}},
        description="rewards by name or module:Class, each with its weight and its own settings; any that are named "
        "replace these all; {}: none",
    )
    reward_from: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of the training after which the rewards count: a student learns more from them once it "
        "makes sense, at a lower rate",
    )
