"""Settings of the benchmark of plans: the paper's cuts against the planner's, in the shapes world."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from hummingbird.config.section import AbsolutePath, Section

Share = Annotated[float, Field(gt=0, lt=1)]


class PlanBenchmarkSettings(Section):
    """Which plans are compared, how long each student learns, and how it is scored.

    Calibration is that of ``plan`` (clips, timesteps, rounds, rows), distillation that of ``distill``.
    """

    folder: AbsolutePath | None = Field(
        None,
        description="where everything goes, with no run in the lake, whose libraries are then not needed; "
        "none: a run as of every verb",
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: a GPU where there is one")
    workers: PositiveInt = Field(
        1, description="processes that measure importance and train students; on a GPU all share it"
    )
    judges: PositiveInt = Field(1, description="processes that judge the videos of one worker")
    minutes: PositiveFloat | None = Field(
        None,
        description="no further student is begun after this time; the same call later goes on from there",
    )
    paper: tuple[str, ...] = Field(
        ("hummingbird-0.9b", "hummingbird-0.7b"), description="plans that the planner's are compared with"
    )
    match: tuple[Literal["params", "ms"], ...] = Field(
        ("params", "ms"),
        description="in what the planner's cut equals each of them: parameters, milliseconds",
    )
    budgets: tuple[Share, ...] = Field((0.55, 0.40, 0.25), description="further budgets of parameters")
    seeds: tuple[NonNegativeInt, ...] = Field(
        (0, 1, 2), min_length=1, description="each a distillation, and prompts with their noise"
    )
    clips: PositiveInt = Field(512, description="clips drawn for calibration and distillation")
    prompts: int = Field(48, ge=2, description="prompts a seed, of one object and of two in turn")
    num_inference_steps: PositiveInt = Field(25, description="DDIM steps of every video")
    batch_size: PositiveInt = Field(16, description="videos sampled at once")
    timed_batch_size: PositiveInt = Field(1, description="videos of the pass whose milliseconds count")
    warmup_passes: PositiveInt = Field(2, description="passes before the timed ones")
    repeats: PositiveInt = Field(9, description="timed passes each, in turn; medians count")
    resamples: int = Field(1000, ge=100, description="bootstrap samples behind the 95 % intervals")
