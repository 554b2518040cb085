"""Memory and time of a recipe's stages: settings count as the line uses them, and advice ends where something fits."""

import pytest
from hummingbird.config.loading import load_settings
from hummingbird.pruning.planner.stage_table import UsualGpu, stage_costs, stage_table

SMALL, LARGE = UsualGpu("small", 1, 100, 0.5), UsualGpu("large", 192, 200, 0.5)


def test_every_stage_has_a_row_a_gpu_by_the_settings_of_its_verb() -> None:
    overrides = [
        "line.verbs=[distill, feedback]",
        "prune.plan=shapes-student",
        "distill={steps: 3600, batch_size: 16, num_frames: 8}",
        "feedback={steps: 10, rewards: {}}",
        "training.gradient_accumulation=3",
        "line.for_verb={feedback: {training: {gradient_accumulation: 1}}}",
    ]
    settings = load_settings(None, overrides)
    rows = list(stage_costs(settings, (SMALL, LARGE)))
    assert [(row.stage, row.gpu.name) for row in rows] == [
        (stage, gpu) for stage in ("distill", "feedback") for gpu in ("small", "large")
    ]
    small, large, few, _ = rows
    assert small.peak == large.peak
    assert large.fits
    assert small.step_seconds == pytest.approx(2 * large.step_seconds)
    assert small.hours == pytest.approx(small.step_seconds)
    once = load_settings(None, [*overrides, "training.gradient_accumulation=1"])
    first, *_, last = (row for row in stage_costs(once, (SMALL,)))
    assert small.step_seconds == pytest.approx(3 * first.step_seconds)
    assert few.step_seconds == pytest.approx(last.step_seconds)
    if not small.fits:
        assert sum("videos a GPU" in words for words in small.advice) <= 1
    lines = stage_table({"mine": rows}).splitlines()
    assert len(lines) == 6
    assert lines[3].startswith("| mine | distill | 2 x large (192) |")
