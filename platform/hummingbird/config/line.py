"""Settings of the line: which verbs a recipe runs, one after the other."""

from typing import Literal, Self, get_args

from pydantic import Field, model_validator

from hummingbird.config.section import Section

LineVerb = Literal[
    "import_checkpoint",
    "footage",
    "curate",
    "encode",
    "prune",
    "distill",
    "feedback",
    "evaluate",
    "compile",
    "benchmark",
]
"""In the order in which they can follow each other."""


class LineSettings(Section):
    """The verbs of a recipe, and where its report goes."""

    verbs: tuple[LineVerb, ...] = Field(
        ("curate", "encode", "prune", "distill", "feedback", "evaluate", "compile", "benchmark"),
        min_length=1,
        description="verbs, in their order; import_checkpoint makes the teacher, footage draws the small world's raw "
        "video, and lets curation be scored against its truth",
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
