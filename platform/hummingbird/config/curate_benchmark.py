"""Settings of the benchmark of curation: a Ray cluster against a plain loop over the same functions."""

from pydantic import Field, PositiveInt

from hummingbird.config.section import Section


class CurateBenchmarkSettings(Section):
    """How much of the shapes world's footage is curated, on how many workers."""

    files: int = Field(24, ge=12, description="files of footage, drawn here; with the truth's defects")
    seed: int = Field(11, ge=0, description="seed of the footage")
    workers: tuple[PositiveInt, ...] = Field(
        (1, 2), min_length=1, description="CPUs of the Ray instances that are timed, one after the other"
    )
    growth: PositiveInt = Field(
        10,
        description="memory is measured at this many times the files too (each file again, under other names)",
    )
    growth_files: PositiveInt = Field(
        12, description="files of the smaller of the two inputs of that measurement"
    )
