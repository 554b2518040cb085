"""A filter from outside: clips darker than a threshold go."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from hummingbird.config.section import Section
from hummingbird_data.filters.base import Filter, Threshold
from hummingbird_data.reading.clip_frames import clip_frames
from hummingbird_data.stage import Row, Stage


@dataclass
class BrightnessStage(Stage):
    """Mean brightness of a clip, 0 to 1."""

    name: ClassVar[str] = "brightness"
    inputs: ClassVar[tuple[str, ...]] = ("media_path", "storage")
    outputs: ClassVar[tuple[str, ...]] = ("brightness_score",)

    def process(self, row: Row) -> Iterable[Row]:
        frames, _ = clip_frames(row)
        return [{"brightness_score": float(frames.mean()) / 255}]


class BrightnessFilter(Filter):
    """Drops dark clips."""

    class Settings(Section):
        """A number or a percentile."""

        min_brightness: float | str = 0.1

    reason = "dark"
    scores: ClassVar = {"brightness_score": "brightness"}
    threshold = Threshold("min_brightness", "brightness_score", "below")

    def stages(self, settings: Any) -> list[Stage]:
        return [BrightnessStage()]
