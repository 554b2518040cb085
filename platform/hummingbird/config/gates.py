"""Settings of learned gates: how long, and how firmly they are led to the budget."""

from pydantic import Field, PositiveFloat, PositiveInt

from hummingbird.config.section import Section


class GateSettings(Section):
    """The training of the gates, whose workers, precision and checkpoints are those of ``training``."""

    steps: PositiveInt = Field(400, description="optimizer steps; the teacher's weights stay as they are")
    minutes: PositiveFloat | None = Field(None, description="limit of the training time; none: all steps")
    batch_size: PositiveInt = Field(4, description="clips a step and worker")
    learning_rate: PositiveFloat = Field(0.1, description="peak learning rate of the gates' logits")
    penalty: PositiveFloat = Field(
        10.0, description="weight of the squared excess over the budget, as a share, beside its multiplier"
    )
    multiplier_rate: PositiveFloat = Field(
        0.1, description="what a step's excess adds to the multiplier of its budget"
    )
