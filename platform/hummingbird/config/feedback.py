"""Settings of feedback: consistency distillation to few steps with image and video rewards."""

from typing import Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from hummingbird.config.section import Section


class FeedbackSettings(Section):
    """Losses and schedule of the few-step stage."""

    steps: PositiveInt = Field(200, description="optimizer steps")
    minutes: PositiveFloat | None = Field(
        None,
        description="limit of the training time, over which the learning rate then decays; none: all steps",
    )
    batch_size: PositiveInt = Field(4, description="samples a step and worker")
    learning_rate: PositiveFloat = Field(3e-4, description="peak learning rate of AdamW")
    guidance_scale_min: float = Field(
        2.0,
        ge=1,
        description="smallest scale s of the target uncond + s (cond - uncond), which the student embeds",
    )
    guidance_scale_max: float = Field(4.0, ge=1, description="largest guidance scale of the target")
    guidance_size: PositiveInt = Field(64, multiple_of=2, description="size of the embedding of w")
    solver_steps: int | None = Field(
        None,
        ge=4,
        le=50,  # more would leave out the noisiest timesteps, which sampling starts from
        description="steps of the teacher's solver, between whose timesteps estimates must agree; fewer are longer "
        "and sooner learned; none: as the teacher is sampled",
    )
    phases: PositiveInt = Field(
        1,
        description="parts of the trajectory, as many as the few steps, which lead to their ends without fresh noise "
        "(phased consistency, learned sooner); 1: every step leads to the end of it all, as in the paper",
    )
    target: Literal["student", "average", "teacher"] = Field(
        "student",
        description="whose estimate is the target after the teacher's solver step: the student's own, as in the "
        "paper, or its moving average's; teacher: no one's, the teacher itself goes on to the end of the phase",
    )
    on_policy: float = Field(
        0.0,
        ge=0,
        le=1,
        description="share of samples that begin where the student's own few steps lead from noise; the others begin "
        "at noised clips, as in the paper",
    )
    reuse: PositiveInt = Field(
        1,
        description="steps that learn from each of the teacher's answers, which cost more than learning from them",
    )
    image_reward: NonNegativeFloat = Field(1.0, description="weight of the image reward")
    video_reward: NonNegativeFloat = Field(2.0, description="weight of the video reward")
    reward_from: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of the training after which the rewards count: a student learns more from them once it "
        "makes sense, at a lower rate",
    )
    rollouts: PositiveInt = Field(
        2,
        description="in phases, videos a step and worker that the student makes in all its steps for the rewards, "
        "which then teach every step (at most batch); of one phase its estimates are rewarded, as in the paper",
    )
    image_frames: PositiveInt = Field(5, description="frames drawn at random for the image reward")
    video_frames: PositiveInt = Field(8, description="evenly spaced frames for the video reward")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.guidance_scale_max < self.guidance_scale_min:
            raise ValueError("guidance_scale_max is below guidance_scale_min")
        if self.phases == 1 and (self.target == "teacher" or self.on_policy):
            raise ValueError("target=teacher and on_policy need phases: set phases=4")
        if self.solver_steps is not None and self.phases > self.solver_steps:
            raise ValueError("there are more phases than solver_steps")
        return self
