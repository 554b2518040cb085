"""Settings of pruning: a teacher and a plan to a student that starts from the teacher's weights."""

from pydantic import Field

from hummingbird.config.section import Section


class PruneSettings(Section):
    """The pruning plan."""

    plan: str = Field(
        "hummingbird-0.7b",
        min_length=1,
        description="hummingbird-0.9b: one residual block a down stage, two an up stage; hummingbird-0.7b: "
        "the same without the middle block; shapes-student: the planner's for the small world's teacher; or a "
        "YAML file",
    )
    max_share: float = Field(
        1.0, gt=0, le=1, description="largest share of the teacher's parameters that the plan may keep"
    )
