"""What distillation and feedback share: from settings to a training job, and from its end to the lake."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from hummingbird.config.distill import DistillSettings
from hummingbird.config.feedback import FeedbackSettings
from hummingbird.config.plugins import Plugin, PluginChoice, resolve_plugin
from hummingbird.config.settings import Settings
from hummingbird.config.training import UNSEEN_IN_RESULTS
from hummingbird.core.errors import InputError
from hummingbird.core.files import AnyPath, as_path, remove_tree
from hummingbird.core.hashes import count_parameters, folder_hash, identify, public_config, weights_hash
from hummingbird.core.model_references import pipeline_folder
from hummingbird.core.scratch import origin
from hummingbird.lake.lineage import (
    find_model,
    latest_output,
    made_by,
    put_model,
)
from hummingbird.lake.runs import Run, open_run
from hummingbird.models.pipeline import TextToVideoPipeline, load_pipeline
from hummingbird.models.scheduler import VideoScheduler
from hummingbird.training.data import cached_latents
from hummingbird.training.latent_cache import LatentCache, encoder_hashes
from hummingbird.training.log import LOSSES, read_losses
from hummingbird.training.loop import TrainingJob
from hummingbird.training.methods import METHODS
from hummingbird.training.methods.base import Method, MethodInputs
from hummingbird.training.rewards.base import Reward
from hummingbird.training.rewards.term import RewardTerm, declaration
from hummingbird.training.trainer import train
from hummingbird.training.watching.samples import SampleSource

NOT_TERMS = frozenset({"step", "learning_rate", "seconds"})
"""What a line of the log holds besides the means of a step."""


@dataclass(frozen=True)
class Start:
    """What a stage starts from: folders of pipelines, and of the cache."""

    teacher: Path
    student: Path
    cache: AnyPath


@dataclass(frozen=True)
class TrainingStage:
    """A training stage.

    Attributes:
        verb: its verb, and the section of its settings.
        kind: what it makes, for the lake: ``distilled``, ``feedback``.
        after: the verb whose student it goes on from when ``models.student`` names none.
        settings: the section.
        method: the method, with its settings.
        rewards: what scores the student's videos.
        held_out: rewards that are watched and not trained on.
    """

    verb: str
    kind: str
    after: str
    settings: DistillSettings | FeedbackSettings
    method: Plugin[Method]
    rewards: Sequence[Plugin[Reward]] = ()
    held_out: Sequence[Plugin[Reward]] = ()


def resolve_method(setting: str, choice: PluginChoice) -> Plugin[Method]:
    """The method that a setting names. Raises InputError, see `resolve_plugin`."""
    return resolve_plugin(setting, choice, METHODS, Method)  # type: ignore[type-abstract]


def run_stage(settings: Settings, stage: TrainingStage) -> Path:
    """Trains a student in a run of its own and returns the path of ``result.json``.

    The run folder holds ``losses.jsonl`` and, at the end, ``pipeline``; until then the checkpoints, from
    which the same call goes on.

    Raises:
        InputError: a model or the cache is missing, or they do not fit each other.
    """
    from hummingbird.lake.lake import Lake

    rewards = reward_inputs(
        stage.rewards
    )  # looked at first: a wrong setting is named before anything is loaded
    lake = Lake.open(settings)
    cache = as_path(settings.training.cache or latest_output(lake, "encode", "cache"))
    student_name = settings.models.student or latest_output(lake, stage.after, "pipeline")
    start = Start(pipeline_folder(settings.models.teacher), pipeline_folder(student_name), cache)
    teacher, pipeline = load_pipeline(start.teacher), load_pipeline(start.student)
    latents = LatentCache(cache)
    about = latents.about
    _check(teacher.unet, pipeline, latents)
    training = settings.training.model_dump(mode="json", exclude=set(UNSEEN_IN_RESULTS))
    inputs = {
        "teacher": weights_hash(teacher.unet),
        "student": weights_hash(pipeline.unet),
        "noise": [public_config(one.scheduler.config) for one in (teacher, pipeline)],
        "cache": {key: about[key] for key in ("snapshot_id", "vae_hash", "text_hash", "buckets", "count")},
        "training": training,
        "method": _described(stage.method),
        "rewards": rewards,
        "held_out": reward_inputs(stage.held_out),
        "decoder": decoder_hash(pipeline, stage.settings) if rewards else None,
    }
    with open_run(settings, stage.verb, (stage.verb,), inputs, snapshot_id=about["snapshot_id"]) as run:
        if run.previous is not None and Path(run.previous["outputs"]["pipeline"]).is_dir():
            run.outputs.update(run.previous["outputs"])
            run.metrics.update(run.previous["metrics"])
            return run.result_path
        job = TrainingJob(
            name=stage.verb,
            build=partial(build_method, stage, start),
            data=partial(
                cached_latents,
                cache,
                stage.settings.batch_size,
                settings.seed,
                num_frames=stage.settings.num_frames,
            ),
            folder=run.folder,
            steps=stage.settings.steps,
            minutes=stage.settings.minutes,
            learning_rate=stage.settings.learning_rate,
            seed=settings.seed,
            training=settings.training,
            lora=stage.settings.lora,
            samples=SampleSource(
                start.teacher,
                start.student,
                cache,
                stage.method.kind.scheduler_changes(stage.method.settings),
                settings.training.watching,
                settings.training.mixed_precision,
                settings.seed,
            ),
        )
        parent = find_model(run.lake, identify(pipeline.unet), "student", start.student)
        pipeline.unet = type(pipeline.unet).from_pretrained(train(job, settings.ray))
        changes = stage.method.kind.scheduler_changes(stage.method.settings)
        pipeline.scheduler = VideoScheduler.from_config(pipeline.scheduler.config, **changes)
        pipeline.save_pretrained(run.folder / "pipeline")
        if (run.folder / "adapter").is_dir():
            run.outputs.update(adapter=run.folder / "adapter")
        _record(run, stage, pipeline, parent)
        for scaffold in ("unet", "ray", "checkpoint"):
            shutil.rmtree(run.folder / scaffold, ignore_errors=True)
            remove_tree(origin(run.folder) / scaffold)
    return run.result_path


def build_method(stage: TrainingStage, start: Start, device: torch.device) -> Method:
    """What a worker trains.

    Raises:
        InputError: there are rewards, but the student's pipeline has no small decoder for them.
    """
    teacher, student = load_pipeline(start.teacher), load_pipeline(start.student)
    term, chosen = None, stage.settings
    if stage.rewards and isinstance(chosen, FeedbackSettings):
        _decoder(student, chosen).requires_grad_(False).to(device)
        term = RewardTerm.build(
            stage.rewards,
            partial(student.decode, decoder=chosen.decoder),
            chosen.reward_from,
            device,
            stage.held_out,
            chosen.held_out,
            chosen.decode_frames,
        )
    return stage.method.build(
        MethodInputs(
            teacher.unet.to(device),
            student.unet.to(device),
            teacher.scheduler,
            student.scheduler,
            LatentCache(start.cache).empty_text.to(device),
            term,
        )
    )


def reward_inputs(rewards: Sequence[Plugin[Reward]]) -> dict[str, dict[str, Any]]:
    """What a result depends on of its rewards: settings, and the hash of their weights.

    Raises:
        InputError: see `Reward.declare`.
    """
    inputs = {}
    for reward in rewards:
        weights = declaration(reward).weights
        inputs[reward.name] = _described(reward) | {"weights": folder_hash(weights) if weights else None}
    return inputs


def decoder_hash(student: TextToVideoPipeline, settings: DistillSettings | FeedbackSettings) -> str:
    """The hash of the decoder that rewards look through. Raises InputError where there is none."""
    return weights_hash(_decoder(student, settings))


def _described(plugin: Plugin[Any]) -> dict[str, Any]:
    return {"name": plugin.name, "settings": plugin.settings.model_dump(mode="json")}


def _decoder(student: TextToVideoPipeline, settings: DistillSettings | FeedbackSettings) -> torch.nn.Module:
    full = isinstance(settings, FeedbackSettings) and settings.decoder == "full"
    decoder: torch.nn.Module | None = student.vae if full else student.decoder
    if decoder is None:
        raise InputError(
            "the student's pipeline has no small decoder for the rewards to look through: give it one, or set "
            "feedback.decoder=full, or feedback.rewards={}"
        )
    return decoder


def _check(teacher: Any, pipeline: TextToVideoPipeline, cache: LatentCache) -> None:
    student = pipeline.unet
    widths = [[stage["width"] for stage in model.config.down_stages] for model in (teacher, student)]
    if widths[0] != widths[1]:
        raise InputError(
            f"the student's stages have widths {widths[1]}, the teacher's {widths[0]}: they must be equal"
        )
    channels = cache.channels
    if channels != teacher.config.in_channels or channels != student.config.in_channels:
        raise InputError(
            f"the cache holds latents of {channels} channels; the teacher takes "
            f"{teacher.config.in_channels}, the student {student.config.in_channels}: encode again"
        )
    hashes = encoder_hashes(pipeline)
    for key, part in (("vae_hash", "autoencoder"), ("text_hash", "text encoder")):
        if cache.about[key] != hashes[key]:
            raise InputError(f"the cache was made by another {part} than the student's: encode again")


def _record(run: Run, stage: TrainingStage, pipeline: TextToVideoPipeline, parent: Mapping[str, Any]) -> None:
    folder = run.folder / "pipeline"
    lines = read_losses(run.folder)
    values: dict[str, list[float]] = {}
    for line in lines:  # rewards may come late, and not every step updates every network
        for name in line.keys() - NOT_TERMS:
            if not name.endswith("gradient_norm"):
                values.setdefault(name, []).append(line[name])
    run.outputs.update(
        pipeline=folder,
        losses=run.folder / LOSSES,
        sampling={key: pipeline.scheduler.config[key] for key in ("num_inference_steps", "guidance_scale")},
        model_id=put_model(
            run.lake, identify(pipeline.unet), stage.kind, {**made_by(run, parent), "path": folder}
        ),
    )
    run.metrics.update(
        steps=lines[-1]["step"],
        seconds=sum(line["seconds"] for line in lines),
        student_parameters=count_parameters(pipeline.unet),
        first={name: fmean(values[name][: _tenth(values[name])]) for name in sorted(values)},
        last={name: fmean(values[name][-_tenth(values[name]) :]) for name in sorted(values)},
    )


def _tenth(values: Sequence[float]) -> int:
    return max(1, len(values) // 10)
