"""Settings of a style: a user's own clips to an adapter of a model."""

from pydantic import Field, PositiveFloat, PositiveInt

from hummingbird.config.distill import DistillSettings
from hummingbird.config.lora import LoRASettings
from hummingbird.config.plugins import PluginChoice
from hummingbird.core.files import StoragePath


class CustomizeSettings(DistillSettings):
    """The clips, the training of the adapter, and how it is judged."""

    clips: StoragePath | None = Field(None, description="folder of the clips, 10 to 50 of one look or motion")
    name: str = Field(
        "style",
        pattern=r"^[a-z0-9][a-z0-9_-]*$",
        description="of the style; its folder is <storage>/styles/NAME",
    )
    trigger: str | None = Field(
        None,
        min_length=1,
        description="a word that stands before every caption, and in place of one that is missing; prompts then "
        "ask for the style by it. None: every clip needs a caption",
    )
    steps: PositiveInt = Field(400, description="optimizer steps")
    batch_size: PositiveInt = Field(
        2, description="clips a step and worker, and as many of the base's own videos"
    )
    learning_rate: PositiveFloat = Field(1e-4, description="peak learning rate of AdamW")
    lora: LoRASettings = LoRASettings(rank=16, layers="spatial")
    method: PluginChoice = Field(
        "style", description="training method: style or module:Class, alone or with its settings beneath"
    )
    prior_videos: int = Field(
        8,
        ge=0,
        description="videos that the base makes of the captions without the trigger, and must still make; without a "
        "trigger none are held",
    )
    judge: PluginChoice | None = Field(
        None,
        description="reward that compares frames and texts: image_text with its settings, or shapes_image in the small "
        "world; none: style and fidelity to the text are not measured",
    )
    judged_videos: PositiveInt = Field(
        8, description="videos of base and style, of the same seeds, that are judged"
    )
