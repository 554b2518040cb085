"""Settings of low-rank adapters: which layers get one, and how large."""

from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveFloat

from hummingbird.config.section import Section


class LoRASettings(Section):
    """Low-rank adapters (LoRA) in place of training all of a student's weights."""

    rank: NonNegativeInt = Field(
        0, description="rank of the adapters (64 in the paper); 0: all weights are trained"
    )
    alpha: PositiveFloat | None = Field(
        None, description="what adapters add is multiplied by alpha / rank; none: alpha is the rank"
    )
    layers: Literal["all", "spatial", "temporal"] = Field(
        "all", description="layers that get adapters: spatial ones decide the look, temporal ones the motion"
    )
    kinds: Literal["all", "linear", "convolution"] = Field(
        "all", description="kinds of layers that get adapters"
    )
