"""Prune, distill and feedback as verbs, one after the other, on a tiny world and in one process."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hummingbird.config.feedback import FeedbackSettings
from hummingbird.config.loading import load_settings
from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.lake.lake import Lake
from hummingbird.models.pipeline import load_pipeline
from hummingbird.pruning.prune import prune
from hummingbird.training.distill import distill
from hummingbird.training.feedback import feedback
from hummingbird.training.training_stage import decoder_hash


def outputs(path: Path) -> dict[str, Any]:
    result = json.loads(path.read_text())
    assert result["state"] == "finished"
    return result["outputs"]


def test_the_three_verbs_follow_each_other_and_leave_a_lineage(tiny: Settings) -> None:
    pruned = outputs(prune(tiny))
    report = json.loads(Path(pruned["report"]).read_text())
    assert all(layer["largest_difference"] == 0 for layer in report["layers"] if layer["kept"])
    assert load_pipeline(pruned["pipeline"]).unet.config.middle is False
    distilled = outputs(distill(tiny))
    path = feedback(tiny)
    few = outputs(path)

    model = load_pipeline(few["pipeline"])
    assert model.few_steps
    assert model.scheduler.config.num_inference_steps == 4
    assert model.scheduler.few_step_timesteps(4) == [999, 749, 499, 249]  # sampled as it was trained
    assert load_pipeline(distilled["pipeline"]).scheduler.config.guidance_scale == 1.0  # guidance is built in
    video = model("a a", num_frames=4).frames
    assert video.shape[:2] == (1, 4)
    lines = [json.loads(line) for line in Path(few["losses"]).read_text().splitlines()]
    assert {"consistency", "reward/shapes_image", "reward/shapes_video"} <= set(lines[0])
    assert not (path.parent / "checkpoint").exists()

    line = Lake.open(tiny).lineage(few["model_id"])
    assert [entry["model"]["kind"] for entry in line] == ["feedback", "distilled", "pruned", "teacher"]
    assert [entry["model"]["model_id"] for entry in line][1:3] == [distilled["model_id"], pruned["model_id"]]
    assert {entry["model"]["licence"] for entry in line} == {"apache-2.0"}
    assert line[0]["snapshot_id"] == line[1]["snapshot_id"] == Lake.open(tiny).snapshot()

    before = path.stat().st_mtime_ns
    lines_before = Path(few["losses"]).read_text()
    assert outputs(feedback(tiny)) == few  # finished before: nothing is trained again
    assert Path(few["losses"]).read_text() == lines_before
    assert path.stat().st_mtime_ns > before

    noise = Path(tiny.models.teacher) / "scheduler" / "scheduler_config.json"
    noise.write_text(json.dumps({**json.loads(noise.read_text()), "shared_noise": 0.5}))
    assert (
        outputs(distill(tiny))["pipeline"] != distilled["pipeline"]
    )  # the teacher's weights do not say it all


def test_rewards_that_come_late_are_told_from_when_they_came(tiny: Settings) -> None:
    method = {"phased_consistency": {"phases": 4, "solver_steps": 8, "rollouts": 1}}
    chosen = {"steps": 4, "method": method, "reward_from": 0.5}
    late = tiny.model_copy(update={"feedback": tiny.feedback.model_copy(update=chosen)})
    prune(tiny)
    distill(tiny)
    path = feedback(late)
    lines = [json.loads(line) for line in Path(outputs(path)["losses"]).read_text().splitlines()]
    rewarded = [line["reward/shapes_image"] for line in lines if "reward/shapes_image" in line]
    assert ["reward/shapes_image" in line for line in lines] == [False, False, True, True]
    metrics = json.loads(path.read_text())["metrics"]
    assert metrics["first"]["reward/shapes_image"] == rewarded[0]
    assert metrics["last"]["reward/shapes_image"] == rewarded[-1]
    assert metrics["first"]["consistency"] == lines[0]["consistency"]


def test_bad_starts_are_named(tiny: Settings, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="run prune first"):
        distill(tiny)
    missing = tiny.model_copy(update={"models": tiny.models.model_copy(update={"teacher": "nowhere"})})
    with pytest.raises(InputError, match="no pipeline in"):
        prune(missing)
    greedy = tiny.model_copy(update={"prune": tiny.prune.model_copy(update={"max_share": 0.3})})
    with pytest.raises(InputError, match=r"prune\.max_share allows 30\.0%"):
        prune(greedy)
    prune(tiny)
    for rewards, message in (
        ({"shapes_video": {**tiny.feedback.rewards["shapes_video"], "frames": 8}}, "sees 4"),
        ({"shapes_vidio": {}}, "did you mean 'shapes_video'"),
        ({"shapes_video": {"wight": 1}}, "did you mean 'weight'"),
    ):
        changed = tiny.model_copy(update={"feedback": tiny.feedback.model_copy(update={"rewards": rewards})})
        with pytest.raises(InputError, match=message):
            feedback(changed)
    cache = tiny.model_copy(update={"training": tiny.training.model_copy(update={"cache": tmp_path})})
    with pytest.raises(InputError, match="run encode first"):
        distill(cache)
    assert tiny.training.cache is not None
    file = tiny.training.cache / "cache.json"
    about = json.loads(file.read_text())
    for key, part in (("vae_hash", "autoencoder"), ("text_hash", "text encoder")):
        file.write_text(json.dumps({**about, key: "of another"}))
        with pytest.raises(InputError, match=f"another {part}"):
            distill(tiny)


def test_feedback_depends_on_the_decoder_that_the_rewards_look_through(
    tiny_teacher: Path,
) -> None:
    student = load_pipeline(tiny_teacher)
    before = decoder_hash(student, FeedbackSettings())
    assert student.decoder is not None
    with torch.no_grad():
        next(student.decoder.parameters()).add_(1.0)
    assert decoder_hash(student, FeedbackSettings()) != before
    student.decoder = None
    with pytest.raises(InputError, match="no small decoder"):
        decoder_hash(student, FeedbackSettings())


def test_what_changes_no_result_is_no_part_of_what_a_run_is_found_by(tiny: Settings) -> None:
    prune(tiny)
    path = distill(tiny)
    unseen = {"log_every": 1, "checkpoint_every": 1, "checkpoint_minutes": None}
    same = tiny.model_copy(update={"training": tiny.training.model_copy(update=unseen)})
    assert distill(same) == path
    other = tiny.model_copy(update={"training": tiny.training.model_copy(update={"ema_decay": 0.6})})
    assert distill(other) != path


@pytest.mark.slow
def test_adapters_distribution_matching_and_watched_rewards_go_together(tiny: Settings) -> None:
    pruned = json.loads(prune(tiny).read_text())["outputs"]["pipeline"]
    matching = "{steps: 2, fake_updates: 1, solver_steps: 20, consistency_weight: 0.5}"
    chosen = load_settings(
        overrides=[
            "feedback.steps=2",
            "feedback.lora={rank: 2, layers: temporal}",
            f"feedback.method={{distribution_matching: {matching}}}",
            "feedback.rewards={motion: {size: 32, weight: 0.1}, consistency: {size: 32, weight: 0.1}}",
            "feedback.held_out={rewards: {quality: {frames: 4}}, every: 1}",
            "feedback.decoder=full",
            "feedback.decode_frames=3",
        ]
    ).feedback
    models = tiny.models.model_copy(update={"student": pruned})
    result = json.loads(feedback(tiny.model_copy(update={"feedback": chosen, "models": models})).read_text())
    terms = {"matching", "consistency", "fake_score/denoising", "reward/motion", "reward/consistency"}
    assert terms | {"held_out/quality"} <= set(result["metrics"]["last"])
    assert result["outputs"]["sampling"]["num_inference_steps"] == 2
    assert (Path(result["outputs"]["adapter"]) / "adapter_model.safetensors").is_file()
    assert load_pipeline(result["outputs"]["pipeline"]).few_steps
