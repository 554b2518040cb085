"""Milliseconds of students beside their teacher's, on one device."""

from collections.abc import Mapping
from typing import Any

from hummingbird.models.unet import VideoUNet
from hummingbird.pruning.planner.cost import InputShape, measure_milliseconds, pass_milliseconds

Config = Mapping[str, Any]

WARMUP, REPEATS = 2, 9


class Clock:
    """Times students beside their teacher; times do not depend on the weights.

    Attributes:
        teacher: milliseconds of its pass.
        parts: milliseconds of its parts, which sum up to that.
    """

    def __init__(self, config: Config, shape: InputShape, device: str, teacher: float | None = None) -> None:
        self._unet: VideoUNet = VideoUNet(**config).to(device)
        self._shape, self._device = shape, device
        whole, parts = measure_milliseconds(self._unet, shape)
        self.teacher = teacher or whole
        self.parts = {part: value * self.teacher / whole for part, value in parts.items()}

    def __call__(self, config: Config) -> float:
        """Milliseconds of a student's pass."""
        student: VideoUNet = VideoUNet(**config).to(self._device)
        times = pass_milliseconds({"teacher": self._unet, "student": student}, self._shape, WARMUP, REPEATS)
        return times["student"] / times["teacher"] * self.teacher
