"""Which models the verbs work with: names of shipped weights, or folders."""

from pydantic import Field

from hummingbird.config.section import Section


class ModelSettings(Section):
    """Each value is the name of shipped weights ("shapes-...") or a folder."""

    teacher: str = Field("shapes-teacher", description="pipeline folder of the teacher")
    student: str | None = Field(
        None, description="pipeline folder of the student to train on; none: what the verb before made"
    )
    quality: str | None = Field(
        None,
        description="folder of the quality model; none: the technical score that needs no weights decides",
    )
    captioner: str | None = Field(
        None,
        description="folder of the captioner; with curate.caption_engine=http its name at the endpoint; none: clips "
        "keep the captions that came with their files, or have none",
    )
    rewriter: str | None = Field(
        None,
        description="folder of the language model that rewrites captions, or its name at the endpoint; none: the "
        "captioner's words stay",
    )
