"""Settings of the generated footage of the shapes world."""

from typing import Self

from pydantic import Field, NonNegativeFloat, PositiveInt, model_validator

from hummingbird.config.section import Section


class FootageSettings(Section):
    """How much raw footage is drawn, in which formats, and with which defects."""

    seed: int = Field(0, ge=0, description="seed of the footage")
    files: int = Field(60, ge=12, description="number of files, broken ones and copies included")
    broken: NonNegativeFloat = Field(0.1, le=0.5, description="share of files that are broken")
    copies: NonNegativeFloat = Field(0.04, le=0.5, description="share of files that copy another exactly")
    short: NonNegativeFloat = Field(0.05, le=0.5, description="share of files whose shots are all too short")
    defects: dict[str, NonNegativeFloat] = Field(
        {
            "blur": 0.045,
            "noise": 0.045,
            "compression": 0.045,
            "static": 0.04,
            "freeze": 0.04,
            "flicker": 0.045,
            "zoom": 0.045,
            "text": 0.045,
            "near_copy": 0.04,
        },
        description="share of the shots of all other files that has each defect",
    )
    sizes: tuple[tuple[int, int], ...] = Field(
        ((128, 128), (160, 128), (192, 144), (256, 144), (144, 256), (192, 192)),
        min_length=1,
        description="widths and heights in pixels, at least 128 and even",
    )
    fps: tuple[PositiveInt, ...] = Field((12, 15, 24, 25, 30), min_length=1, description="frames a second")
    shots: tuple[PositiveInt, PositiveInt] = Field((2, 4), description="fewest and most shots of a file")
    seconds: tuple[float, float] = Field((2.1, 3.6), description="shortest and longest shot, in seconds")
    processes: PositiveInt = Field(2, description="processes that draw and encode")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if any(min(size) < 128 or size[0] % 2 or size[1] % 2 for size in self.sizes):
            raise ValueError("sizes must be even and at least 128 on both sides")
        if not 1.0 < self.seconds[0] <= self.seconds[1]:
            raise ValueError("seconds must be two numbers above 1, the smaller first")
        if self.shots[0] > self.shots[1]:
            raise ValueError("shots must be two numbers, the smaller first")
        if sum(self.defects.values()) > 0.8 or self.broken + self.copies + self.short > 0.6:
            raise ValueError(
                "defects take more than 80 % of the shots, or 60 % of the files: lower the shares"
            )
        return self
