"""Settings of publishing: a pipeline and what is known of it to a folder for the Hub."""

from pydantic import Field

from hummingbird.config.section import Section


class PublishSettings(Section):
    """What is published, where, and whether it is uploaded."""

    model: str | None = Field(None, description="pipeline folder; none: what feedback made last")
    repo: str | None = Field(
        None, pattern=r"^[\w.-]+/[\w.-]+$", description="repository on the Hub, OWNER/NAME; needed to upload"
    )
    name: str | None = Field(None, description="what the card calls the model; none: the repository's name")
    licence: str | None = Field(
        None, description="of the weights, as the Hub calls it; none: what the lake or the folder's card says"
    )
    base_model: str | None = Field(None, description="repository on the Hub of what it was made from")
    datasets: tuple[str, ...] = Field((), description="repositories on the Hub of what it was trained on")
    note: str = Field("", description="a paragraph of yours for the card")
    private: bool = Field(True, description="whether a repository that is made is private")
    upload: bool = Field(False, description="upload; else the folder is written and checked, and no more")
