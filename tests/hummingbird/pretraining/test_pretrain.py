"""Shipping what was trained."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hummingbird.config.pretrain import PretrainSettings
from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.models.scheduler import VideoScheduler
from hummingbird.models.unet import VideoUNet
from hummingbird.pretraining.pretrain import pretrain
from hummingbird.pretraining.student import ship_student


def _line(folder: Path, student: Path, state: str = "finished") -> Path:
    """A ``result.json`` with what shipping reads."""
    results = {}
    for verb in ("distill", "feedback"):
        results[verb] = str(folder / f"{verb}.json")
        Path(results[verb]).write_text(json.dumps({"metrics": {"steps": 7, "seconds": 3.5}}))
    metrics: dict[str, Any] = {
        "student_parameters": 55, "teacher_parameters": 100, "kept": 9, "prompts": 4, "total": {"teacher": 0.5},
        "speedup": 32.0, "speedup_compiled": 20.0,
    }  # fmt: skip
    outputs = {"student": str(student), "results": results}
    path = folder / "result.json"
    path.write_text(json.dumps({"state": state, "metrics": metrics, "outputs": outputs}))
    return path


def test_a_student_is_shipped_with_its_own_noise_process(
    tiny_pipelines: dict[str, Path], tmp_path: Path
) -> None:
    made = tiny_pipelines["student"]
    ship_student(_line(tmp_path, made), tmp_path / "weights")
    home = tmp_path / "weights" / "student"
    unet, original = (VideoUNet.from_pretrained(folder / "unet") for folder in (home, made))
    assert unet.config.guidance_size == original.config.guidance_size
    for name, tensor in original.state_dict().items():
        torch.testing.assert_close(unet.state_dict()[name].float(), tensor, rtol=1e-3, atol=1e-3)
    noise, own = (VideoScheduler.from_pretrained(folder / "scheduler").config for folder in (home, made))
    assert dict(noise) == dict(own)
    card = json.loads((home / "card.json").read_text())
    assert card["share of the teacher's"] == 0.55
    assert card["feedback steps"] == 7


def test_no_student_is_shipped_of_a_line_that_did_not_finish(
    tiny_pipelines: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="make quickstart RECIPE=shapes-long"):
        ship_student(tmp_path / "result.json", tmp_path / "weights")
    path = _line(tmp_path, tiny_pipelines["student"], "failed")
    with pytest.raises(InputError, match="this line is failed"):
        ship_student(path, tmp_path / "weights")
    assert not (tmp_path / "weights").exists()


def test_several_workers_for_a_part_that_one_trains_are_refused(settings: Settings) -> None:
    asked = settings.model_copy(update={"pretrain": PretrainSettings(part="text", workers=2)})
    with pytest.raises(InputError, match=r"pretrain.workers=2: the text is trained in one process"):
        pretrain(asked)


def test_weights_to_go_on_from_are_refused_for_a_part_that_takes_none(
    settings: Settings, tmp_path: Path
) -> None:
    asked = settings.model_copy(update={"pretrain": PretrainSettings(part="captioner", start=tmp_path)})
    with pytest.raises(InputError, match="the captioner starts from no weights"):
        pretrain(asked)
