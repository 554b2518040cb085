"""One student of the benchmark of plans: cut, scored, distilled for a short time, and scored again."""

import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from hummingbird.config.distill import DistillSettings
from hummingbird.config.settings import Settings
from hummingbird.core.files import write_atomically
from hummingbird.core.parallel import spread
from hummingbird.evaluation.local_generation import Way, examine_here
from hummingbird.evaluation.suites.shapes.metrics import Measured
from hummingbird.evaluation.suites.shapes.prompts import evaluation_prompts
from hummingbird.models.pipeline import load_pipeline
from hummingbird.models.unet import VideoUNet
from hummingbird.pruning.prune import prune_unet
from hummingbird.pruning.pruning_plan import Plan
from hummingbird.training.latent_cache import LatentCache
from hummingbird.training.log import LOSSES
from hummingbird.training.loop import TrainingJob
from hummingbird.training.methods.base import Method, MethodInputs
from hummingbird.training.methods.distillation import target_guidance_scale
from hummingbird.training.trainer import train_in_process
from hummingbird.training.training_stage import resolve_method


@dataclass(frozen=True)
class Study:
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
class Cell:
    """One student by its plan and seed; no plan: the teacher, which is only scored."""

    name: str
    plan: Plan | None
    seed: int


def run_cell(study: Study, cell: Cell) -> dict[str, Any] | None:
    """Scores before and after distillation, kept in the study's folder; what is there already is not made again.

    Returns:
        ``before`` and ``after`` (``values`` and ``right`` by prompt, ``seconds``), ``training`` (``steps``,
        ``seconds``, mean losses of its first and last tenth); or None after the deadline.
    """
    folder = study.folder / "students" / f"{cell.name}-seed{cell.seed}"
    done = folder / "result.json"
    if done.is_file():
        kept: dict[str, Any] = json.loads(done.read_text(encoding="utf-8"))
        return kept
    if time.time() > study.deadline:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(study.settings.training.cpus_per_worker)
    method = resolve_method("distill.method", study.settings.distill.method)
    guidance = target_guidance_scale(method.settings, load_pipeline(study.teacher).scheduler)
    label = f"{cell.name}, seed {cell.seed}"
    result: dict[str, Any] = {"name": cell.name, "seed": cell.seed}
    result["before"] = _stored(
        folder / "before.json",
        lambda: _score(study, cell, _untrained(study, cell.plan), guidance, f"{label}, before"),
    )
    if cell.plan is not None:
        result["training"] = _stored(folder / "training.json", lambda: _distill(study, cell, folder))
        result["after"] = _stored(
            folder / "after.json",
            # The guidance is in the student now.
            lambda: _score(
                study, cell, VideoUNet.from_pretrained(folder / "unet"), 1.0, f"{label}, distilled"
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


def _untrained(study: Study, plan: Plan | None) -> VideoUNet:
    unet: VideoUNet = load_pipeline(study.teacher).unet
    return unet if plan is None else prune_unet(unet, plan)


def _score(study: Study, cell: Cell, unet: VideoUNet, guidance: float, name: str) -> dict[str, Any]:
    s = study.settings.plan_benchmark
    start = time.perf_counter()
    pipeline = load_pipeline(study.teacher)
    pipeline.unet = unet.eval()
    pipeline.to(study.device)
    prompts = evaluation_prompts(s.prompts, study.settings.seed + cell.seed)
    with spread(s.judges) as each:
        found: Sequence[Measured] = examine_here(
            pipeline,
            prompts,
            Way(s.num_inference_steps, guidance, batch=s.batch_size),
            each,
            name if s.workers == 1 else None,  # bars of several processes would run into each other
        )
    return {
        "values": [dict(one.values) for one in found],
        "right": [dict(one.right) for one in found],
        "prompts": [asdict(prompt)["text"] for prompt in prompts],
        "seconds": time.perf_counter() - start,
    }


def _distill(study: Study, cell: Cell, folder: Path) -> dict[str, Any]:
    s = study.settings
    assert cell.plan is not None
    job = TrainingJob(
        name=cell.name,
        build=partial(build_student, s.distill, study.teacher, study.cache, cell.plan),
        cache=study.cache,
        folder=folder,
        steps=s.distill.steps,
        minutes=s.distill.minutes,
        batch_size=s.distill.batch_size,
        learning_rate=s.distill.learning_rate,
        seed=s.seed + cell.seed,
        training=s.training.model_copy(update={"engine": "process", "device": study.device}),
    )
    train_in_process(job)
    lines = [json.loads(line) for line in (folder / LOSSES).read_text(encoding="utf-8").splitlines()]
    tenth = max(1, len(lines) // 10)
    return {
        "steps": len(lines),
        "seconds": sum(line["seconds"] for line in lines),
        "first": sum(line["total"] for line in lines[:tenth]) / tenth,
        "last": sum(line["total"] for line in lines[-tenth:]) / tenth,
    }


def _stored(path: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    if path.is_file():
        kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return kept
    made = make()
    write_atomically(path, json.dumps(made).encode())
    return made
