"""The verb ``distill``: a pruned student learns the guided teacher's output and features."""

from functools import partial
from pathlib import Path

import torch

from hummingbird.config.distill import DistillSettings
from hummingbird.config.settings import Settings
from hummingbird.models.pipeline import TextToVideoPipeline, load_pipeline
from hummingbird.models.unet import VideoUNet
from hummingbird.training.latent_cache import LatentCache
from hummingbird.training.methods.base import Method, Teacher
from hummingbird.training.methods.distillation import Distillation
from hummingbird.training.training_stage import Build, Stage, Start, run_stage, shared_features


def distill(settings: Settings) -> Path:
    """Distils ``models.teacher`` into ``models.student`` (none: what prune made); returns ``result.json``.

    The student has the guidance built in: sample it with guidance 1.

    Raises:
        InputError: a model or the cache is missing, or they do not fit each other.
    """
    stage = Stage(
        verb="distill",
        kind="distilled",
        after="prune",
        settings=settings.distill,
        build=partial(build_distillation, settings.distill),
        inputs=lambda pipeline: {},
        noise={"num_inference_steps": 50, "guidance_scale": 1.0},
    )
    return run_stage(settings, stage)


def build_distillation(settings: DistillSettings, start: Start) -> Build:
    """What makes the student and the method in a worker."""
    return partial(_build, settings, start)


def _build(settings: DistillSettings, start: Start, device: torch.device) -> tuple[VideoUNet, Method]:
    pipeline = load_pipeline(start.teacher)
    teacher, student = pipeline.unet.to(device), load_pipeline(start.student).unet.to(device)
    empty = LatentCache(start.cache).empty_text.to(device)
    guided = Teacher(teacher, empty, shared_features(teacher, student))
    guidance = target_guidance(settings, pipeline)
    return student, Distillation(guided, pipeline.scheduler, guidance, settings.feature_weight)


def target_guidance(settings: DistillSettings, teacher: TextToVideoPipeline) -> float:
    """The guidance scale of the target: the one that is set, or the teacher's own."""
    return settings.guidance_scale or float(teacher.scheduler.config.guidance_scale)
