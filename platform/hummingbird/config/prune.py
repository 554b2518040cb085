"""Settings of pruning: a teacher and a plan to a student that starts from the teacher's weights."""

from typing import Literal

from pydantic import Field

from hummingbird.config.section import Section


class PruneSettings(Section):
    """The pruning plan."""

    plan: Literal["paper-0.9b", "paper-0.7b"] = Field(
        "paper-0.7b", description="one residual block less a stage; 0.7b: no middle block either"
    )
    max_share: float = Field(0.6, gt=0, le=1, description="largest share of the teacher's parameters")
