"""Settings of watching a training: trackers, sample videos, and what ends a run that collapses."""

from typing import Literal

from pydantic import Field, PositiveInt

from hummingbird.config.section import Section


class WatchingSettings(Section):
    """Where figures go, and which videos are made while a student trains."""

    trackers: list[Literal["tensorboard", "wandb", "mlflow"]] = Field(
        ["tensorboard"], description="where losses, speed and videos are shown, beside losses.jsonl"
    )
    project: str = Field("hummingbird", min_length=1, description="project of W&B, experiment of MLflow")
    sample_every: PositiveInt | None = Field(
        500,
        description="steps between videos of the average, of the same prompts and seeds, beginning before the first "
        "step; shorter runs and none: no videos",
    )
    prompts: list[str] = Field([], description="prompts of the videos; none: the first captions of the cache")
    videos: PositiveInt = Field(4, description="videos at a time, where no prompts are named")
    collapse: Literal["stop", "tell", "off"] = Field(
        "stop",
        description="what happens when the videos have collapsed; off: nobody looks, and the teacher makes none",
    )
