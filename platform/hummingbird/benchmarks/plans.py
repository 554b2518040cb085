"""The benchmark of plans: the paper's cuts against the planner's, at equal size and speed, in the shapes world.

All students get the same short distillation and are scored by the judge before and after it, with several seeds.
"""

import json
import math
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from hummingbird.benchmarks.drawn_cache import draw_cache
from hummingbird.benchmarks.plan_candidates import PlanCandidate, find_plans
from hummingbird.benchmarks.plan_students import StudentRun, StudyContext, run_student
from hummingbird.benchmarks.plan_table import comparisons, summary, text_table
from hummingbird.config.settings import Settings
from hummingbird.core.devices import describe_device, resolve_device
from hummingbird.core.errors import InputError
from hummingbird.core.files import write_atomically
from hummingbird.core.hashes import weights_hash
from hummingbird.core.model_references import pipeline_folder
from hummingbird.core.parallel import parallel_map
from hummingbird.core.progress import ProgressBar
from hummingbird.evaluation.suites.shapes.suite import ShapesSuite
from hummingbird.lake.runs import open_run
from hummingbird.models.pipeline import load_pipeline

VERSION = 1
SUITE = {"name": "shapes", "version": ShapesSuite.version}
EXECUTION_SETTINGS = frozenset({"folder", "workers", "judges", "minutes", "device", "resamples"})
"""Settings of the benchmark that change no student and no video."""


def plan_benchmark(settings: Settings) -> Path:
    """Compares the plans; returns the path of ``result.json``.

    Metrics: see `run_study`. With ``plan_benchmark.folder`` everything goes there, and neither Ray nor the lake
    is used or needed. Called again it goes on where it was.

    Raises:
        InputError: no teacher or device, a budget that cannot be met, or a folder that holds another study.
    """
    folder = settings.plan_benchmark.folder
    if folder is not None:
        metrics = run_study(settings, folder)
        result = {"schema_version": VERSION, "verb": "plan_benchmark", "metrics": metrics}
        write_atomically(folder / "result.json", (json.dumps(result, indent=2) + "\n").encode())
        return folder / "result.json"
    with open_run(settings, "plan_benchmark", sections=(), inputs=study_inputs(settings)) as run:
        run.metrics.update(run_study(settings, run.folder))
        run.outputs["plans"] = run.folder / "plans"
    return run.result_path


def study_inputs(settings: Settings) -> dict[str, Any]:
    """What the result depends on, as JSON.

    Raises:
        InputError: no such teacher.
    """
    tree = settings.model_dump(mode="json")
    unet = load_pipeline(pipeline_folder(settings.models.teacher)).unet
    training = ("mixed_precision", "warmup_steps", "weight_decay", "max_grad_norm", "ema_decay")
    calibration = ("calibration_clips", "calibration_timesteps", "rounds", "calibration_batch_size")
    return {
        "seed": settings.seed,
        "teacher": weights_hash(unet),
        "suite": SUITE,
        "distill": tree["distill"],
        "training": {key: tree["training"][key] for key in training},
        "plan": {key: tree["plan"][key] for key in calibration},
        "plan_benchmark": {k: v for k, v in tree["plan_benchmark"].items() if k not in EXECUTION_SETTINGS},
    }


def run_study(settings: Settings, folder: Path) -> dict[str, Any]:
    """Makes, scores and compares all students in ``folder``; prints the table.

    Returns:
        JSON: ``plans`` by name (costs with the share of the teacher's, ``before`` and ``after`` distillation with
        intervals over seeds and prompts, ``seeds`` with what each gave, the ``plan`` itself), the ``teacher``
        likewise, ``comparisons`` of the paper's cuts with the planner's (paired ``difference`` of their totals),
        ``unfinished`` students, ``unmet`` budgets of milliseconds, ``inputs`` and ``device``.

    Raises:
        InputError: see `plan_benchmark`.
    """
    s = settings.plan_benchmark
    deadline = time.time() + 60 * s.minutes if s.minutes else math.inf
    device = resolve_device(s.device, "plan_benchmark.device")
    teacher = pipeline_folder(settings.models.teacher)
    inputs = study_inputs(settings)
    _check_folder(folder, inputs)
    with parallel_map(s.workers) as parallel:
        pipeline = load_pipeline(teacher).to(device)
        cache = draw_cache(pipeline, folder / "cache", settings.seed, s.clips, parallel)
        candidates, unmet = find_plans(settings, pipeline, teacher, cache, folder / "plans", device, parallel)
        study = StudyContext(settings, folder, teacher, cache, device, deadline)
        runs = [
            StudentRun(name, candidate.plan, seed)
            for seed in s.seeds
            for name, candidate in candidates.items()
        ]  # a seed after the other: what is cut off has whole seeds to show
        students = parallel(partial(run_student, study), runs)
        results = list(ProgressBar(students, total=len(runs), desc="students", unit="student"))
    metrics = _metrics(settings, candidates, runs, results)
    metrics |= {"unmet": unmet, "inputs": inputs, "device": describe_device(), "suite": SUITE}
    print(text_table(metrics))
    return metrics


def _metrics(
    settings: Settings,
    candidates: Mapping[str, PlanCandidate],
    runs: list[StudentRun],
    results: list[dict[str, Any] | None],
) -> dict[str, Any]:
    s = settings.plan_benchmark
    by_seed: dict[int, dict[str, dict[str, Any]]] = {seed: {} for seed in s.seeds}
    for run, result in zip(runs, results, strict=True):
        if result is not None:
            by_seed[run.seed][run.name] = result
    whole = {seed: students for seed, students in by_seed.items() if len(students) == len(candidates)}
    metrics = summary(candidates, by_seed)
    if whole:
        metrics |= comparisons(s, candidates, whole, settings.seed, metrics["plans"])
    unfinished = [run for run, result in zip(runs, results, strict=True) if result is None]
    return {**metrics, "unfinished": [f"{run.name}, seed {run.seed}" for run in unfinished]}


def _check_folder(folder: Path, inputs: Mapping[str, Any]) -> None:
    path = folder / "study.json"
    if path.is_file():
        stored = json.loads(path.read_text(encoding="utf-8"))
        changed = [key for key in inputs if stored.get(key) != inputs[key]]
        if changed:
            raise InputError(
                f"{folder} holds a study with other settings or another teacher ({', '.join(changed)} "
                "differ): name another plan_benchmark.folder"
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(inputs, indent=2).encode())
