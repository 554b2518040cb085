"""Settings of curation: raw video files to a snapshot of the table of clips."""

from typing import Literal

from pydantic import Field, PositiveInt

from hummingbird.config.section import AbsolutePath, Section


class CurateSettings(Section):
    """What is curated, with which engines and thresholds."""

    source: AbsolutePath | None = Field(None, description="folder of raw video files")
    caption_engine: Literal["auto", "transformers", "vllm", "none"] = Field(
        "auto", description="engine that runs the captioner; auto: vllm where it can run, else transformers"
    )
    batch_files: PositiveInt = Field(32, description="source files committed together")
