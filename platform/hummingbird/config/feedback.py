"""Settings of feedback: its schedule, the few-step method, and the rewards that compose with it."""

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt

from hummingbird.config.lora import LoRASettings
from hummingbird.config.plugins import PluginChoice, PluginTable
from hummingbird.config.section import Section


class HeldOutSettings(Section):
    """A reward that is watched and never trained on: it falls where the trained ones are cheated."""

    rewards: PluginTable = Field(
        {}, description="held-out rewards by name or module:Class, as feedback.rewards; {}: none is watched"
    )
    every: PositiveInt = Field(20, description="steps between readings of held-out rewards")
    window: int = Field(5, ge=2, description="readings whose mean is compared with the best such mean before")
    drop: PositiveFloat = Field(
        0.02,
        description="fall of a held-out reward, in its own units, that counts if it is also beyond the noise of the "
        "readings, while the trained rewards have risen",
    )
    action: Literal["stop", "lower"] = Field(
        "stop", description="what then happens: the run stops, or the trained rewards' weights are halved"
    )


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
        description="training method: consistency, as in the paper, phased_consistency, distribution_matching or "
        "module:Class, alone or with its settings beneath: {phased_consistency: {phases: 4, target: teacher}}",
    )
    rewards: PluginTable = Field(
        {"shapes_image": {"weight": 1.0}, "shapes_video": {"weight": 2.0}},
        description="rewards by name or module:Class, each with its weight and its own settings; any that are named "
        "replace these all; {}: none",
    )
    held_out: HeldOutSettings = HeldOutSettings()
    decoder: Literal["small", "full"] = Field(
        "small",
        description="what decodes the videos that rewards see: the pipeline's small decoder or its autoencoder",
    )
    decode_frames: PositiveInt | None = Field(
        None,
        description="frames that are decoded at a time, and again in the backward pass: less memory, more time; none: "
        "all at once",
    )
    allow_noncommercial: bool = Field(
        True, description="use rewards whose weights' licence forbids commercial use, or is unknown"
    )
    reward_from: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of the training after which the rewards count: a student learns more from them once it "
        "makes sense, at a lower rate",
    )
