"""One student of the benchmark of plans: cut, scored, distilled for a short time, and scored again."""

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from hummingbird.config.distill import DistillSettings
from hummingbird.config.settings import Settings
from hummingbird.core.files import write_atomically
from hummingbird.core.parallel import parallel_map
from hummingbird.evaluation.local_generation import evaluate_here
from hummingbird.evaluation.sampling import SamplingParameters
from hummingbird.evaluation.suites.shapes.suite import ShapesSuite
from hummingbird.models.pipeline import load_pipeline
from hummingbird.models.unet import VideoUNet
from hummingbird.pruning.prune import prune_unet
from hummingbird.pruning.pruning_plan import Plan
from hummingbird.training.data import cached_latents
from hummingbird.training.latent_cache import LatentCache
from hummingbird.training.log import read_losses
from hummingbird.training.loop import TrainingJob
from hummingbird.training.methods.base import Method, MethodInputs
from hummingbird.training.methods.distillation import target_guidance_scale
from hummingbird.training.trainer import save_trained, train_in_process
from hummingbird.training.training_stage import resolve_method


@dataclass(frozen=True)
class StudyContext:
    """What all students share.

    Attributes:
        teacher, cache: folders of the pipeline and of the latents.
        device: ``cpu`` or ``cuda``.
        deadline: time (of `time.time`) after which no student is begun.
    """

    settings: Settings
    folder: Path
    teacher: Path
    cache: Path
    device: str
    deadline: float


@dataclass(frozen=True)
class StudentRun:
    """One student by its plan and seed; no plan: the teacher, which is only scored."""

    name: str
    plan: Plan | None
    seed: int


def run_student(study: StudyContext, run: StudentRun) -> dict[str, Any] | None:
    """Scores before and after distillation, stored in the study's folder; what is there already is not made again.

    Returns:
        ``before`` and ``after`` (``values`` and ``checks`` by prompt, ``seconds``), ``training`` (``steps``,
        ``seconds``, mean losses of its first and last tenth); or None after the deadline.
    """
    folder = study.folder / "students" / f"{run.name}-seed{run.seed}"
    done = folder / "result.json"
    if done.is_file():
        stored: dict[str, Any] = json.loads(done.read_text(encoding="utf-8"))
        return stored
    if time.time() > study.deadline:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(study.settings.training.cpus_per_worker)
    method = resolve_method("distill.method", study.settings.distill.method)
    guidance = target_guidance_scale(method.settings, load_pipeline(study.teacher).scheduler)
    label = f"{run.name}, seed {run.seed}"
    result: dict[str, Any] = {"name": run.name, "seed": run.seed}
    result["before"] = _stored(
        folder / "before.json",
        lambda: _score(study, run, _untrained(study, run.plan), guidance, f"{label}, before"),
    )
    if run.plan is not None:
        result["training"] = _stored(folder / "training.json", lambda: _distill(study, run, folder))
        result["after"] = _stored(
            folder / "after.json",
            # The guidance is in the student now.
            lambda: _score(
                study, run, VideoUNet.from_pretrained(folder / "unet"), 1.0, f"{label}, distilled"
            ),
        )
    write_atomically(done, json.dumps(result).encode())
    for part in ("before.json", "training.json", "after.json"):
        (folder / part).unlink(missing_ok=True)
    shutil.rmtree(folder / "checkpoint", ignore_errors=True)
    return result


def build_student(
    settings: DistillSettings, teacher: Path, cache: Path, plan: Plan, device: torch.device
) -> Method:
    """The method of ``distill``, with the student of a plan, which has the teacher's weights."""
    pipeline = load_pipeline(teacher)
    unet = pipeline.unet.to(device)
    inputs = MethodInputs(
        teacher=unet,
        student=prune_unet(unet, plan),
        teacher_scheduler=pipeline.scheduler,
        student_scheduler=pipeline.scheduler,
        empty_text=LatentCache(cache).empty_text.to(device),
    )
    return resolve_method("distill.method", settings.method).build(inputs)


def _untrained(study: StudyContext, plan: Plan | None) -> VideoUNet:
    unet: VideoUNet = load_pipeline(study.teacher).unet
    return unet if plan is None else prune_unet(unet, plan)


def _score(
    study: StudyContext, run: StudentRun, unet: VideoUNet, guidance: float, name: str
) -> dict[str, Any]:
    s = study.settings.plan_benchmark
    start = time.perf_counter()
    pipeline = load_pipeline(study.teacher)
    pipeline.unet = unet.eval()
    pipeline.to(study.device)
    suite = ShapesSuite(ShapesSuite.Settings())
    prompts = suite.prompts(s.prompts, study.settings.seed + run.seed)
    with parallel_map(s.judges) as parallel:
        measured = evaluate_here(
            pipeline,
            suite,
            prompts,
            SamplingParameters(s.num_inference_steps, guidance),
            s.batch_size,
            parallel,
            name if s.workers == 1 else None,  # bars of several processes would run into each other
        )
    return {
        "values": [dict(measurement.values) for measurement in measured],
        "checks": [dict(measurement.checks) for measurement in measured],
        "prompts": [prompt.text for prompt in prompts],
        "seconds": time.perf_counter() - start,
    }


def _distill(study: StudyContext, run: StudentRun, folder: Path) -> dict[str, Any]:
    s = study.settings
    assert run.plan is not None
    job = TrainingJob(
        name=run.name,
        build=partial(build_student, s.distill, study.teacher, study.cache, run.plan),
        data=partial(cached_latents, study.cache, s.distill.batch_size, s.seed + run.seed),
        folder=folder,
        steps=s.distill.steps,
        minutes=s.distill.minutes,
        learning_rate=s.distill.learning_rate,
        seed=s.seed + run.seed,
        training=s.training.model_copy(update={"engine": "process", "device": study.device}),
    )
    save_trained(train_in_process(job), folder)
    lines = read_losses(folder)
    tenth = max(1, len(lines) // 10)
    return {
        "steps": len(lines),
        "seconds": sum(line["seconds"] for line in lines),
        "first": sum(line["total"] for line in lines[:tenth]) / tenth,
        "last": sum(line["total"] for line in lines[-tenth:]) / tenth,
    }


def _stored(path: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    if path.is_file():
        stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return stored
    result = make()
    write_atomically(path, json.dumps(result).encode())
    return result
