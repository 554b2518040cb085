"""What distillation and feedback share: from settings to a training job, and from its end to the lake."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch import nn

from hummingbird.config.distill import DistillSettings
from hummingbird.config.feedback import FeedbackSettings
from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.core.hashes import count_parameters, identify, public_config, weights_hash
from hummingbird.core.model_references import pipeline_folder
from hummingbird.core.scratch import local_copy
from hummingbird.lake.lineage import (
    find_model,
    latest_output,
    made_by,
    put_model,
)
from hummingbird.lake.runs import Run, open_run
from hummingbird.models.pipeline import TextToVideoPipeline, load_pipeline
from hummingbird.models.scheduler import VideoScheduler
from hummingbird.models.unet import VideoUNet
from hummingbird.training.latent_cache import LatentCache, encoder_hashes
from hummingbird.training.loop import LOSSES, Job
from hummingbird.training.methods.base import Method
from hummingbird.training.trainer import train

Build = Callable[[torch.device], tuple[nn.Module, Method]]


@dataclass(frozen=True)
class Start:
    """What a stage starts from: folders of pipelines, and of the cache."""

    teacher: Path
    student: Path
    cache: Path


@dataclass(frozen=True)
class Stage:
    """A training stage.

    Attributes:
        verb: its verb, and the section of its settings.
        kind: what it makes, for the lake: ``distilled``, ``feedback``.
        after: the verb whose student it goes on from when ``models.student`` names none.
        settings: the section.
        build: what every worker builds, made from the start.
        inputs: what the result depends on besides teacher, student and cache, given the student's pipeline.
        noise: what changes in the configuration of the noise process, with the ``steps`` and ``guidance``
            that the result is sampled with where a call says nothing else.
    """

    verb: str
    kind: str
    after: str
    settings: DistillSettings | FeedbackSettings
    build: Callable[[Start], Build]
    inputs: Callable[[TextToVideoPipeline], Mapping[str, object]]
    noise: Mapping[str, float]


def run_stage(settings: Settings, stage: Stage) -> Path:
    """Trains a student in a run of its own and returns the path of ``result.json``.

    The run folder holds ``losses.jsonl`` and, at the end, ``pipeline``; until then the checkpoints, from
    which the same call goes on.

    Raises:
        InputError: a model or the cache is missing, or they do not fit each other.
    """
    from hummingbird.lake.lake import Lake

    lake = Lake.open(settings)
    cache = local_copy(settings.training.cache or latest_output(lake, "encode", "cache"))
    student_name = settings.models.student or latest_output(lake, stage.after, "pipeline")
    start = Start(pipeline_folder(settings.models.teacher), pipeline_folder(student_name), cache)
    taught, pipeline = load_pipeline(start.teacher), load_pipeline(start.student)
    teacher = taught.unet
    latents = LatentCache(cache)
    about = latents.about
    _check(teacher, pipeline, latents)
    inputs = {
        "teacher": weights_hash(teacher),
        "student": weights_hash(pipeline.unet),
        "noise": [_noise(one) for one in (taught, pipeline)],
        "cache": {key: about[key] for key in ("snapshot_id", "vae_hash", "text_hash", "shape", "count")},
        **stage.inputs(pipeline),
    }
    sections = ("training", stage.verb)
    with open_run(settings, stage.verb, sections, inputs, snapshot_id=about["snapshot_id"]) as run:
        if run.previous is not None and Path(run.previous["outputs"]["pipeline"]).is_dir():
            run.outputs.update(run.previous["outputs"])
            run.metrics.update(run.previous["metrics"])
            return run.result_path
        job = Job(
            name=stage.verb,
            build=stage.build(start),
            cache=cache,
            folder=run.folder,
            steps=stage.settings.steps,
            minutes=stage.settings.minutes,
            batch=stage.settings.batch_size,
            learning_rate=stage.settings.learning_rate,
            seed=settings.seed,
            training=settings.training,
        )
        parent = find_model(run.lake, identify(pipeline.unet), "student", start.student)
        pipeline.unet = VideoUNet.from_pretrained(train(job, settings.ray))
        pipeline.scheduler = VideoScheduler.from_config(pipeline.scheduler.config, **stage.noise)
        pipeline.save_pretrained(run.folder / "pipeline")
        _record(run, stage, pipeline, parent)
        for scaffold in ("unet", "ray", "checkpoint"):
            shutil.rmtree(run.folder / scaffold, ignore_errors=True)
    return run.result_path


def shared_features(teacher: VideoUNet, student: VideoUNet) -> list[int]:
    """Which of the teacher's features the student has too: of down stages, middle block and up stages."""
    stages = len(teacher.config.down_stages)
    middle = [stages] if teacher.config.middle and student.config.middle else []
    first_up = stages + bool(teacher.config.middle)
    return [*range(stages), *middle, *range(first_up, first_up + stages)]


def _noise(pipeline: TextToVideoPipeline) -> dict[str, Any]:
    """The noise process, which is not in the weights."""
    return public_config(pipeline.scheduler.config)


def _check(teacher: VideoUNet, pipeline: TextToVideoPipeline, cache: LatentCache) -> None:
    student = pipeline.unet
    widths = [[stage["width"] for stage in model.config.down_stages] for model in (teacher, student)]
    if widths[0] != widths[1]:
        raise InputError(
            f"the student's stages have widths {widths[1]}, the teacher's {widths[0]}: they must be equal"
        )
    channels = cache.shape[1]
    if channels != teacher.config.in_channels or channels != student.config.in_channels:
        raise InputError(
            f"the cache holds latents of {channels} channels; the teacher takes "
            f"{teacher.config.in_channels}, the student {student.config.in_channels}: encode again"
        )
    hashes = encoder_hashes(pipeline)
    for key, part in (("vae_hash", "autoencoder"), ("text_hash", "text encoder")):
        if cache.about[key] != hashes[key]:
            raise InputError(f"the cache was made by another {part} than the student's: encode again")


def _record(run: Run, stage: Stage, pipeline: TextToVideoPipeline, parent: Mapping[str, Any]) -> None:
    folder = run.folder / "pipeline"
    lines = [json.loads(line) for line in (run.folder / LOSSES).read_text(encoding="utf-8").splitlines()]
    terms = [name for name in lines[-1] if name not in ("step", "learning_rate", "gradient_norm", "seconds")]
    values = {name: [line[name] for line in lines if name in line] for name in terms}  # rewards may come late
    run.outputs.update(
        pipeline=folder,
        losses=run.folder / LOSSES,
        sampling={key: stage.noise[key] for key in ("steps", "guidance")},
        model_id=put_model(
            run.lake, identify(pipeline.unet), stage.kind, {**made_by(run, parent), "path": folder}
        ),
    )
    run.metrics.update(
        steps=lines[-1]["step"],
        seconds=sum(line["seconds"] for line in lines),
        student_parameters=count_parameters(pipeline.unet),
        first={name: fmean(values[name][: _tenth(values[name])]) for name in terms},
        last={name: fmean(values[name][-_tenth(values[name]) :]) for name in terms},
    )


def _tenth(values: Sequence[float]) -> int:
    return max(1, len(values) // 10)
