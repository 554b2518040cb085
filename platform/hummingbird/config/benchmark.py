"""Settings of the benchmark: teacher and student side by side, end to end, in one run."""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Field, NonNegativeInt, PositiveInt

from hummingbird.config.evaluate import Decoder
from hummingbird.config.section import Section
from hummingbird.core.files import StoragePath

T = TypeVar("T")


def _several(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value if isinstance(value, tuple) else (value,)


OneOrMore = Annotated[tuple[T, ...], BeforeValidator(_several), Field(min_length=1)]
"""A value or a list of them; the first is what the headline compares."""

Precision = Literal["fp32", "bf16"]


class BenchmarkSettings(Section):
    """What is timed, how often, and with which steps. Of lists, every combination is a row."""

    student: str | None = Field(
        None, description="pipeline folder of the student; none: models.student, else the shipped one"
    )
    random_weights: bool = Field(
        False,
        description="time models.teacher (videocrafter2, or a folder's configuration) and a student cut from it by "
        "plan.plan at full size with random weights, which cost the same time",
    )
    precisions: tuple[Precision, ...] = Field(
        (),
        description="of U-Net and decoder, the same on both sides of a ratio; none: fp32, and bf16 where the device "
        "is faster at it",
    )
    batch_sizes: OneOrMore[PositiveInt] = Field((1,), description="videos a pass")
    compile_teacher: bool = Field(True, description="time the teacher compiled too: minutes to compile it")
    compile_student: bool = Field(True, description="time the student compiled too: the headline is with it")
    teacher_package: StoragePath | None = Field(
        None,
        description="compiled teacher, for the rows of its precision and decoder; others are compiled here",
    )
    student_package: StoragePath | None = Field(None, description="compiled student, likewise")
    teacher_inference_steps: OneOrMore[PositiveInt] = Field(
        (50,), description="DDIM steps of the teacher, guided as it was made for"
    )
    student_inference_steps: OneOrMore[PositiveInt] = Field(
        (4,), description="steps of the student, one pass each"
    )
    teacher_decoder: OneOrMore[Decoder] = Field(
        ("full",), description="decoders of the teacher: the paper times the full one"
    )
    student_decoder: OneOrMore[Decoder] = Field(("small",), description="decoders of the student")
    fps: PositiveInt = Field(8, description="frames a second; compile.num_frames says how many frames")
    warmup_videos: NonNegativeInt = Field(1, description="passes a row before the timed ones")
    repeats: PositiveInt = Field(3, description="timed passes a row, all rows in turn; medians are reported")
