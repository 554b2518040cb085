"""Settings of serving: the generators, the video API and the page."""

from typing import Self

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from hummingbird.config.section import Section
from hummingbird.core.masking import mask_text


class ServeSettings(Section):
    """What is served, where, and within which bounds.

    Steps, guidance and frame rate of a request that names none are those of ``evaluate``: what was measured.
    """

    model: str | None = Field(
        None,
        description="compiled package or pipeline folder; none: what the line left in the storage, "
        "if it did, else the shipped student",
    )
    teacher: bool = Field(True, description="offer models.teacher for comparison; it loads on first use")
    styles: dict[str, str] = Field(
        default_factory=dict,
        description="styles of the student by the names that requests use, each the folder of an adapter that "
        "customize made; one with a style is made by the pipeline as it is, not by its package",
    )
    host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="address to listen on; any but loopback needs an API key: HUMMINGBIRD_TOKEN, "
        "HUMMINGBIRD_API_KEYS or serve.api_keys",
    )
    port: PositiveInt = Field(8000, lt=65536, description="port to listen on")
    api_keys: str | None = Field(
        None, description="YAML file of API keys: name, sha256, requests_per_minute, max_queued of each"
    )
    allowed_hosts: tuple[str, ...] = Field(
        (),
        description='names under which clients reach a server that has keys, beside addresses and its own; "*": any',
    )
    guesses_per_minute: PositiveInt = Field(
        10, description="wrong API keys from one address in a minute, before all new ones are refused"
    )
    prompt_policy: str | None = Field(
        None,
        description="module:function that gets a prompt and returns why it is refused, or None; when it fails, "
        "the prompt is refused too",
    )
    min_replicas: NonNegativeInt = Field(1, description="fewest replicas of the student's generator")
    max_replicas: PositiveInt = Field(1, description="most replicas; the length of the queue decides")
    replica_cpus: NonNegativeFloat = Field(1.0, description="CPUs that Ray reserves for a generator")
    replica_gpus: NonNegativeFloat = Field(
        0.0, description="GPUs that Ray reserves for a generator, also parts of one; 0: any that it sees"
    )
    threads: PositiveInt | None = Field(None, description="threads of a generator; none: one a core")
    max_inference_steps: PositiveInt = Field(
        8, le=50, description="most steps of the student that a request may ask for"
    )
    max_batch_size: PositiveInt = Field(4, description="most requests that share one pass")
    batch_wait_seconds: NonNegativeFloat = Field(0.01, description="how long a request waits for company")
    max_queued: PositiveInt = Field(
        32, description="videos of a model waiting or in work; more are refused (429)"
    )
    max_videos: PositiveInt = Field(200, description="videos kept; the oldest finished one makes room")
    keep_seconds: PositiveFloat = Field(86400.0, description="how long a finished video is kept")
    jobs: str | None = Field(
        None,
        description="where jobs are kept: a folder that all servers share, or a database "
        "(postgresql+psycopg2://host/name); none: <storage>/serve/jobs",
    )
    max_attempts: PositiveInt = Field(
        3,
        description="how often the making of a video is begun before it fails, when servers or generators die",
    )
    lease_seconds: PositiveFloat = Field(
        15.0, description="a server that gives no sign of life for so long loses its jobs to others"
    )
    scan_seconds: PositiveFloat = Field(0.5, description="how often a server looks at the jobs of all")
    drain_seconds: PositiveFloat = Field(
        600.0, description="how long a server that is stopped may still finish the pass that runs"
    )
    max_connections: PositiveInt = Field(900, description="connections of all clients")
    max_client_connections: PositiveInt = Field(128, description="connections of one client's address")
    request_seconds: PositiveFloat = Field(20.0, description="within which a request must have arrived whole")
    max_prompt_characters: PositiveInt = Field(500, description="longest prompt")
    examples: tuple[str, ...] = Field(
        (
            "a red circle moving left on a striped background",
            "a blue star growing on a brick background",
            "a yellow heart turning on a checkered background",
            "a green square moving down on a dotted background",
            "a red heart above a blue cross, both moving up, on a brick background",
        ),
        description="prompts that the page offers",
    )

    @field_validator("jobs")
    @classmethod
    def _hold_no_password(cls, jobs: str | None) -> str | None:
        if jobs is not None and mask_text(jobs) != jobs:
            raise ValueError(
                "must not hold a password; credentials come from the environment (PGPASSWORD, ...)"
            )
        return jobs

    @model_validator(mode="after")
    def _scale_upwards(self) -> Self:
        if self.min_replicas > self.max_replicas:
            raise ValueError(
                f"min_replicas={self.min_replicas} is more than max_replicas={self.max_replicas}: raise max_replicas"
            )
        return self
