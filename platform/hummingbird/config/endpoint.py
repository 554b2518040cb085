"""Where an OpenAI-style HTTP endpoint is, and how patient its clients are."""

from urllib.parse import urlsplit

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, field_validator

from hummingbird.config.section import Section


class EndpointSettings(Section):
    """An endpoint that answers ``POST <url>/chat/completions``."""

    url: str | None = Field(None, description="base URL, with its version: http://host:8000/v1")
    token_variable: str = Field(
        "HUMMINGBIRD_ENDPOINT_TOKEN",
        pattern=r"^[A-Z_][A-Z0-9_]*$",
        description="environment variable, of the driver and the workers, that holds the bearer token, if one is "
        "needed; a token itself never stands in settings",
    )
    licence: str = Field(
        "unknown", min_length=1, description="licence of the model there, recorded with each clip"
    )
    timeout: PositiveFloat = Field(120.0, description="seconds to wait for one answer")
    retries: NonNegativeInt = Field(5, description="tries after the first where the endpoint does not answer")
    backoff: PositiveFloat = Field(
        1.0, description="seconds before the second try; doubled with each, up to 60"
    )
    concurrency: PositiveInt = Field(8, description="requests at once of each actor")

    @field_validator("url")
    @classmethod
    def _be_a_plain_url(cls, url: str | None) -> str | None:
        """Settings are printed and stored with every run, so the URL must hold no password."""
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must be a URL such as http://host:8000/v1")
        if parts.username or parts.password or parts.query:
            raise ValueError("must hold no user, password or query: the token comes from the environment")
        return url.rstrip("/")
