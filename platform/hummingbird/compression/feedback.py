"""The verb ``feedback``: a few-step model of a distilled student, pushed by an image and a video reward."""

from functools import partial
from pathlib import Path

import torch

from hummingbird.compression.cache import LatentCache
from hummingbird.compression.methods.base import Method, Teacher
from hummingbird.compression.methods.feedback import Feedback, Reward
from hummingbird.compression.stage import Build, Stage, Start, run_stage
from hummingbird.config.feedback import FeedbackSettings
from hummingbird.config.section import InputError
from hummingbird.config.settings import Settings
from hummingbird.lake.lineage import weights_hash
from hummingbird.models.diffusion import Diffusion
from hummingbird.models.loading import load_pretrained
from hummingbird.models.pipeline import TextToVideoPipeline, load_pipeline
from hummingbird.models.rewards import TextVideoScorer
from hummingbird.models.unet import VideoUNet
from hummingbird.shapes import weights_folder

SHIPPED = "shapes-"
_NO_DECODER = (
    "the student's pipeline has no small decoder for the rewards to look through: give it one, or set "
    "feedback.image_reward=0 and feedback.video_reward=0"
)


def feedback(settings: Settings) -> Path:
    """Makes a few-step model of ``models.student`` (none: what distill made); returns ``result.json``.

    Raises:
        InputError: a model or the cache is missing, or they do not fit each other.
    """
    chosen = settings.feedback
    rewards = rewards_folder(settings.models.rewards) if chosen.image_reward or chosen.video_reward else None
    # Looked at first: a wrong setting is named before anything is loaded.
    scorer = None if rewards is None else weights_hash(load_scorer(rewards, chosen))
    stage = Stage(
        verb="feedback",
        kind="feedback",
        after="distill",
        settings=chosen,
        build=partial(build_feedback, chosen, rewards),
        inputs=partial(feedback_inputs, scorer),
        noise=few_step_noise(chosen),
    )
    return run_stage(settings, stage)


def feedback_inputs(rewards: str | None, student: TextToVideoPipeline) -> dict[str, str | None]:
    """The hash of the rewards, and of the small decoder that they look through.

    Raises:
        InputError: the student's pipeline has no small decoder.
    """
    if rewards is None:
        return {"rewards": None}
    if student.decoder is None:
        raise InputError(_NO_DECODER)
    return {"rewards": rewards, "decoder": weights_hash(student.decoder)}


def few_step_noise(settings: FeedbackSettings) -> dict[str, float]:
    """What changes in the noise process: few-step models are trained and sampled without the rescale of x0."""
    guidance = (settings.guidance_min + settings.guidance_max) / 2
    steps = settings.phases if settings.phases > 1 else 4
    changed = {"steps": steps, "guidance": guidance, "x0_scale": 1.0, "phases": settings.phases}
    return changed if settings.solver_steps is None else {**changed, "solver_steps": settings.solver_steps}


def build_feedback(settings: FeedbackSettings, rewards: Path | None, start: Start) -> Build:
    """What makes the student and the method in a worker."""
    return partial(_build, settings, rewards, start)


def _build(
    settings: FeedbackSettings, rewards: Path | None, start: Start, device: torch.device
) -> tuple[VideoUNet, Method]:
    pipeline = load_pipeline(start.student)
    student = with_guidance_embedding(pipeline.unet, settings.guidance_size).to(device)
    teacher = Teacher(
        load_pipeline(start.teacher).unet.to(device), LatentCache(start.cache).empty_text.to(device)
    )
    diffusion = Diffusion.from_config(pipeline.scheduler.config, **few_step_noise(settings))
    reward = None if rewards is None else _reward(settings, rewards, pipeline, device)
    guidance = (settings.guidance_min, settings.guidance_max)
    method = Feedback(
        teacher,
        diffusion,
        guidance,
        reward,
        settings.target,
        settings.on_policy,
        settings.reuse,
        settings.rollouts,
        settings.reward_from,
    )
    return student, method


def with_guidance_embedding(unet: VideoUNet, size: int) -> VideoUNet:
    """The same model with an embedding of the guidance scale that starts at zero, if it has none yet."""
    if unet.config.guidance_size:
        return unet
    config = {key: value for key, value in unet.config.items() if not key.startswith("_")}
    model: VideoUNet = VideoUNet(**{**config, "guidance_size": size})
    missing, unexpected = model.load_state_dict(unet.state_dict(), strict=False)
    if unexpected or any("cond_proj" not in name for name in missing):
        raise RuntimeError(f"the guidance embedding changed other weights: {missing}, {unexpected}")
    embedding = model.time_embedding.cond_proj
    assert embedding is not None
    torch.nn.init.zeros_(embedding.weight)
    model.eval()
    return model


def rewards_folder(name: str) -> Path:
    """The folder of the rewards: shipped weights ("shapes-rewards") or a path.

    Raises:
        InputError: there are none.
    """
    try:
        folder = (
            weights_folder(name.removeprefix(SHIPPED)) if name.startswith(SHIPPED) else Path(name).absolute()
        )
    except FileNotFoundError as error:
        raise InputError(str(error)) from error
    if not (folder / "config.json").is_file():
        raise InputError(f"there are no rewards in {folder} (no config.json)")
    return folder


def load_scorer(folder: Path, settings: FeedbackSettings) -> TextVideoScorer:
    """The frozen rewards, in float32.

    Raises:
        InputError: weights are missing, renamed, of another shape or cut off, or the video reward sees another
            number of frames than ``feedback.video_frames``.
    """
    scorer: TextVideoScorer = load_pretrained(TextVideoScorer, folder, torch_dtype=torch.float32)
    if settings.video_frames != scorer.config.frames:
        raise InputError(
            f"feedback.video_frames={settings.video_frames}, but the video reward in {folder} sees "
            f"{scorer.config.frames}"
        )
    scorer.eval().requires_grad_(False)
    return scorer


def _reward(
    settings: FeedbackSettings, folder: Path, pipeline: TextToVideoPipeline, device: torch.device
) -> Reward:
    if pipeline.decoder is None:
        raise InputError(_NO_DECODER)
    pipeline.decoder.requires_grad_(False).to(device)
    return Reward(
        decode=partial(pipeline.decode, decoder="small"),
        scorer=load_scorer(folder, settings).to(device),
        image_weight=settings.image_reward,
        video_weight=settings.video_reward,
        image_frames=settings.image_frames,
        video_frames=settings.video_frames,
    )
