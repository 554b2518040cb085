"""Settings of distillation: its schedule, and the method with settings of its own."""

from pydantic import Field, PositiveFloat, PositiveInt

from hummingbird.config.lora import LoRASettings
from hummingbird.config.plugins import PluginChoice
from hummingbird.config.section import Section


class DistillSettings(Section):
    """Schedule and method of distillation."""

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
        "distillation",
        description="training method: distillation or module:Class, alone or with its settings beneath: "
        "{distillation: {guidance_scale: 7.5, feature_weight: 0.1}}",
    )
