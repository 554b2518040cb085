"""A reward and a method with a second network from outside the packages, through the verbs, named in their results."""

import json
from pathlib import Path
from typing import Any

import pytest
from hummingbird.config.loading import load_settings
from hummingbird.config.settings import Settings
from hummingbird.pruning.prune import prune
from hummingbird.training.distill import distill
from hummingbird.training.feedback import feedback

METHOD, REWARD = "fake_score:DistributionMatching", "warmth_reward:WarmthReward"


def changed(settings: Settings, *overrides: str) -> Settings:
    """``settings`` with others for distillation and feedback."""
    others = load_settings(overrides=overrides)
    return settings.model_copy(update={"distill": others.distill, "feedback": others.feedback})


def result_of(path: Path) -> tuple[dict[str, Any], list[dict[str, float]]]:
    result = json.loads(path.read_text())
    return result, [json.loads(line) for line in Path(result["outputs"]["losses"]).read_text().splitlines()]


def test_a_method_trains_a_second_network_at_a_rate_of_its_own(tiny: Settings) -> None:
    prune(tiny)
    method = f"distill.method={{{METHOD}: {{fake_learning_rate: 0.002}}}}"
    result, lines = result_of(distill(changed(tiny, method, "distill.steps=3")))
    described = result["inputs"]["method"]
    assert described["name"] == METHOD
    assert described["settings"] == {"fake_learning_rate": 0.002, "fake_updates": 2, "guidance_scale": 3.0}
    assert all(line["matching"] > 0 and line["fake_score/denoising"] > 0 for line in lines)
    assert {"matching", "fake_score/denoising"} <= set(result["metrics"]["last"])
    assert result["metrics"]["steps"] == len(lines) == 3


def test_a_reward_scores_videos_and_their_captions(tiny: Settings) -> None:
    pruned = json.loads(prune(tiny).read_text())["outputs"]["pipeline"]
    reward = f"feedback.rewards={{{REWARD}: {{weight: 0.5, word: clip}}}}"
    solver = "feedback.method={consistency: {solver_steps: 20}}"
    settings = changed(tiny, reward, solver, "feedback.steps=2")
    models = settings.models.model_copy(update={"student": pruned})
    result, lines = result_of(feedback(settings.model_copy(update={"models": models})))
    assert result["inputs"]["rewards"][REWARD]["settings"].items() >= {"weight": 0.5, "word": "clip"}.items()
    for line in lines:  # every caption of the tiny cache has the word
        total = line["consistency"] - 0.5 * line[f"reward/{REWARD}"]
        assert line["total"] == pytest.approx(total, rel=1e-3)
    assert f"reward/{REWARD}" in result["metrics"]["last"]
