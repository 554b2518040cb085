"""Settings of serving: the generators, the video API and the page."""

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from hummingbird.config.section import Section


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
    host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="address to listen on; any but loopback needs the environment variable HUMMINGBIRD_TOKEN",
    )
    port: PositiveInt = Field(8000, lt=65536, description="port to listen on")
    replicas: PositiveInt = Field(1, description="replicas of the student's generator")
    replica_cpus: NonNegativeFloat = Field(1.0, description="CPUs that Ray reserves for a generator")
    threads: PositiveInt | None = Field(None, description="threads of a generator; none: one a core")
    max_inference_steps: PositiveInt = Field(
        8, le=50, description="most steps of the student that a request may ask for"
    )
    max_batch_size: PositiveInt = Field(4, description="most requests that share one pass")
    batch_wait_seconds: NonNegativeFloat = Field(0.01, description="how long a request waits for company")
    max_queued: PositiveInt = Field(32, description="videos waiting or in work; one more is refused (429)")
    max_videos: PositiveInt = Field(200, description="videos kept; the oldest finished one makes room")
    keep_seconds: PositiveFloat = Field(86400.0, description="how long a finished video is kept")
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
