"""Settings of the benchmark: teacher and student side by side, end to end, in one run."""

from pydantic import Field, NonNegativeInt, PositiveInt

from hummingbird.config.evaluate import Decoder
from hummingbird.config.section import Section
from hummingbird.core.files import StoragePath


class BenchmarkSettings(Section):
    """What is timed, how often, and with which steps."""

    student: str | None = Field(
        None, description="pipeline folder of the student; none: models.student, else the shipped one"
    )
    compile_teacher: bool = Field(True, description="time the teacher compiled too: minutes to compile it")
    teacher_package: StoragePath | None = Field(None, description="compiled teacher; none: compiled here")
    student_package: StoragePath | None = Field(None, description="compiled student; none: compiled here")
    teacher_inference_steps: PositiveInt = Field(
        50, description="DDIM steps of the teacher, guided as it was made for"
    )
    student_inference_steps: PositiveInt = Field(4, description="steps of the student, one pass each")
    teacher_decoder: Decoder = Field(
        "full", description="decoder of the teacher: the paper times the full one"
    )
    student_decoder: Decoder = Field("small", description="decoder of the student")
    fps: PositiveInt = Field(8, description="frames a second; compile.num_frames says how many frames")
    warmup_videos: NonNegativeInt = Field(1, description="videos a model before the timed ones")
    repeats: PositiveInt = Field(
        3, description="timed videos a model, all models in turn; medians are reported"
    )
