"""Settings of the line: which verbs a recipe runs, one after the other."""

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Field, model_validator

from hummingbird.config.import_checkpoint import ImportCheckpointSettings
from hummingbird.config.section import Section

LineVerb = Literal[
    "import_checkpoint",
    "footage",
    "curate",
    "encode",
    "decoder",
    "plan",
    "prune",
    "distill",
    "feedback",
    "evaluate",
    "compile",
    "benchmark",
]
"""In the order in which they can follow each other."""


class LineImport(ImportCheckpointSettings):
    """A further checkpoint that the line imports."""

    into: tuple[Annotated[str, Field(pattern=r"^[a-z_]+(\.[a-z0-9_]+)+$")], ...] = Field(
        min_length=1,
        description="the settings that get the folder: [models.quality, feedback.rewards.NAME.model]",
    )


class LineSettings(Section):
    """The verbs of a recipe, and where its report goes."""

    verbs: tuple[LineVerb, ...] = Field(
        ("curate", "encode", "prune", "distill", "feedback", "evaluate", "compile", "benchmark"),
        min_length=1,
        description="verbs, in their order; import_checkpoint makes the teacher, footage draws the small world's raw "
        "video, and lets curation be scored against its truth; "
        "decoder gives the teacher a small decoder; plan makes the plan of plan.budget, which prune takes",
    )
    imports: tuple[LineImport, ...] = Field(
        (),
        description="with import_checkpoint: further checkpoints, each with the settings of that section and the "
        "setting that its folder goes into",
    )
    for_verb: dict[LineVerb, dict[str, Any]] = Field(
        default_factory=dict,
        description="settings of a verb in place of the line's: {feedback: {training: {max_grad_norm: 1.0}}}",
    )
    folder: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9/._-]*$",
        description="folder of the report and of result.json below the storage; none: line/RECIPE",
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        order = get_args(LineVerb)
        ordered = tuple(verb for verb in order if verb in self.verbs)
        if ordered != self.verbs:
            raise ValueError(f"verbs follow each other in this order: {', '.join(ordered)}")
        return self
