import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import pytest
import torch
from hummingbird.config.plan import PlanSettings
from hummingbird.config.prune import PruneSettings
from hummingbird.config.settings import Settings
from hummingbird.config.training import TrainingSettings
from hummingbird.core.errors import InputError
from hummingbird.models.pipeline import load_pipeline
from hummingbird.pruning.planner.cost import InputShape
from hummingbird.pruning.planner.importance import Calibration, Workers, load_probe, memoized
from hummingbird.pruning.planner.make_plan import find_plan
from hummingbird.pruning.planner.plan_verb import plan
from hummingbird.pruning.planner.search import search
from hummingbird.pruning.planner.units import removals
from hummingbird.pruning.prune import prune
from hummingbird.pruning.pruning_plan import Plan, load_plan, whole_plan
from hummingbird.reports.plan_page import write_plan_page


@pytest.fixture
def cache(write_cache: Callable[..., Path], tmp_path: Path) -> Path:
    return write_cache(tmp_path / "latents")


@pytest.fixture
def teacher(tiny_teacher: Path) -> Path:
    """The tiny teacher with random weights everywhere: a fresh one predicts zero, whatever goes."""
    unet = load_pipeline(tiny_teacher).unet
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in unet.parameters():
            parameter.normal_(std=0.1)
    unet.save_pretrained(tiny_teacher / "unet")
    return tiny_teacher


def test_workers_find_what_one_process_finds(
    ray_cluster: None, teacher: Path, cache: Path, settings: Settings
) -> None:
    calibration = Calibration(cache, clips=3, timesteps=2, seed=1)
    probe = load_probe(teacher, calibration, "cpu")
    config = load_pipeline(teacher).unet.config
    units = dict(list(removals(whole_plan(config), config).items())[:3])
    workers = Workers(teacher, calibration, 2, settings.ray)
    try:
        importances = workers.importance(units)
    finally:
        workers.close()
    for name, changed in units.items():
        assert importances[name] == pytest.approx(probe.importance(changed), abs=1e-6)
    assert probe.importance(whole_plan(config)) == [0.0, 0.0]


@pytest.mark.slow
def test_a_plan_is_made_within_its_budget_and_prunes_the_teacher(
    teacher: Path, cache: Path, settings: Settings
) -> None:
    section = PlanSettings(
        model=str(teacher),
        budget=("params=0.6",),
        calibration_clips=2,
        calibration_timesteps=2,
        rounds=2,
        num_frames=8,
        method="distill",
        mixed_precision="fp32",
    )
    training = TrainingSettings(engine="process", cache=cache)
    settings = settings.model_copy(update={"plan": section, "training": training})
    report = plan(settings)
    share = report["costs"]["student"]["parameters"] / report["costs"]["teacher"]["parameters"]
    assert share <= 0.6
    assert report["verdict"]["fits"]
    plan_path = report["files"]["plan"]
    assert report["costs"]["student"]["milliseconds"] > 0
    assert report["timing"]["device"]
    assert "<svg" in write_plan_page(str(teacher), report).read_text()
    dropped = json.loads((Path(plan_path).parent / "importance.json").read_text())["dropped"]
    assert all(len(one["over_timesteps"]) == 2 for one in dropped)
    pruning = settings.model_copy(
        update={
            "models": settings.models.model_copy(update={"teacher": str(teacher)}),
            "prune": PruneSettings(plan=plan_path, max_share=0.6),
        }
    )
    result = json.loads(prune(pruning).read_text())
    assert result["metrics"]["share"] == pytest.approx(share)
    assert load_plan(plan_path, load_pipeline(teacher).unet.config).name == "params-0.6"


def test_a_budget_needs_weights(settings: Settings) -> None:
    with_budget = settings.model_copy(update={"plan": PlanSettings(budget=("params=0.5",))})
    with pytest.raises(InputError, match="import videocrafter2 and give its folder"):
        plan(with_budget)


def test_a_budget_of_milliseconds_is_kept_in_proportion_to_the_teacher(teacher: Path) -> None:
    config = {k: v for k, v in load_pipeline(teacher).unet.config.items() if k[0] != "_"}
    measured: list[str] = []

    def measure(plans: Mapping[str, Plan]) -> dict[str, list[float]]:
        measured.extend(one.model_copy(update={"name": ""}).to_yaml() for one in plans.values())
        return {name: [1.0] for name in plans}

    cut, dropped, costs = find_plan(
        config,
        InputShape(8, 8, 8, 6),
        {"ms": 70.0},
        partial(search, config, measure=memoized(measure), rounds=2),
        "cpu",
        teacher_milliseconds=100.0,
    )
    assert costs["teacher"].milliseconds == pytest.approx(100.0)
    assert costs["student"].milliseconds is not None
    assert costs["student"].milliseconds <= 70.0
    assert dropped
    assert cut != whole_plan(config)
    assert len(measured) == len(set(measured))  # tighter limits search again, but look at no plan again


def test_rows_of_clips_and_timesteps_change_no_importance(teacher: Path, cache: Path) -> None:
    config = load_pipeline(teacher).unet.config
    smaller = next(iter(removals(whole_plan(config), config).values()))
    one, many = (
        load_probe(teacher, Calibration(cache, clips=3, timesteps=2, seed=1, rows=rows), "cpu").importance(
            smaller
        )
        for rows in (1, 4)
    )
    assert one == pytest.approx(many, rel=1e-3)


def test_the_verb_prints_json(teacher: Path, tmp_path: Path) -> None:
    job = Path(__file__).parents[4] / "jobs" / "plan.py"
    command = [
        sys.executable,
        str(job),
        "--storage",
        str(tmp_path / "runs"),
        "--model",
        str(teacher),
        "--json",
    ]
    options = [
        "--plan",
        "hummingbird-0.7b",
        "--method",
        "inference",
        "plan.decoder=small",
        "plan.num_frames=8",
    ]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["schema_version"] == 1
    assert report["plan"]["name"] == "hummingbird-0.7b"
    assert report["costs"]["student"]["parameters"] < report["costs"]["teacher"]["parameters"]
    assert report["costs"]["student"]["milliseconds"] > 0
    assert report["memory"]["peak"] > 0
