"""Pretraining of the quality model, and the model that is shipped."""

import json
from functools import partial

import numpy as np
import pytest
import torch
from hummingbird.config.pretrain import PretrainSettings
from hummingbird.config.settings import Settings
from hummingbird.core.model_references import SHIPPED_WEIGHTS
from hummingbird.models.dover import DOVER
from hummingbird.pretraining import quality
from hummingbird.pretraining.quality_samples import draw_sample
from safetensors.torch import load_file

SHIPPED = SHIPPED_WEIGHTS / "quality"


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """Settings of a training that takes seconds: four clips a chunk, a minute network."""
    small = {
        "technical_width": 8,
        "technical_depths": (1, 1),
        "technical_heads": (1, 1),
        "aesthetic_widths": (8, 8),
        "aesthetic_depths": (1, 1),
        "technical_view": {"fragments": 2, "patch": 16, "frames": 4, "stride": 2, "clips": 2},
        "aesthetic_view": {"size": 32, "frames": 4, "stride": 2},
    }
    monkeypatch.setattr(quality, "ARCHITECTURE", {**quality.ARCHITECTURE, **small})
    monkeypatch.setattr(quality, "_CHUNK", 4)

    def pretrain(name, steps=4):
        settings = Settings(seed=1, pretrain=PretrainSettings(steps=steps))
        return quality.pretrain_quality(
            tmp_path / name, settings, clips=8, held_out=4, cache=tmp_path / "clips"
        )

    return pretrain


def test_an_interrupted_training_ends_like_one_that_was_not(tiny, monkeypatch, tmp_path):
    report = tiny("whole")
    assert 0 <= report["accuracy"] <= 1
    assert sum(g["clips"] for name, g in report["groups"].items() if not name.startswith("sound,")) == 4
    stored = load_file(tmp_path / "whole" / "quality" / "diffusion_pytorch_model.safetensors").values()
    assert {value.dtype for value in stored} == {torch.float16, torch.int64}
    whole = DOVER.from_pretrained(tmp_path / "whole" / "quality")

    every_two = partial(quality.pretrain_network, checkpoint_every=2)
    monkeypatch.setattr(quality, "pretrain_network", every_two)
    losses, calls = quality.losses_of, []

    def interrupted(*args):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return losses(*args)

    monkeypatch.setattr(quality, "losses_of", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tiny("cut")
    assert not (tmp_path / "cut" / "quality").exists()
    tiny("cut")
    assert len(calls) == 6  # two before the checkpoint, two lost to the interruption or it, two after
    for name, value in DOVER.from_pretrained(tmp_path / "cut" / "quality").state_dict().items():
        torch.testing.assert_close(value, whole.state_dict()[name])


def test_a_shipped_model_has_a_card_with_its_scores(tiny, tmp_path):
    facts = {"seed": 1, **tiny("made", steps=1)}
    quality.ship_quality(tmp_path / "made", tmp_path / "weights", facts)
    card = json.loads((tmp_path / "weights" / "quality" / "card.json").read_text())
    assert card["seed"] == 1
    assert card["steps"] == 1
    assert card["accuracy"] == facts["accuracy"]
    assert set(facts["groups"]) <= set(card)
    frames = np.random.default_rng(0).integers(0, 256, (9, 40, 40, 3), np.uint8)
    made, shipped = (DOVER.from_pretrained(tmp_path / name / "quality") for name in ("made", "weights"))
    assert made.score(frames) == shipped.score(frames)


def test_clips_are_made_once(tiny, monkeypatch):
    tiny("first", steps=1)
    drawn = []

    def counted(seed):
        drawn.append(seed)
        return draw_sample(seed)

    monkeypatch.setattr(quality, "draw_sample", counted)
    tiny("second", steps=1)
    assert len(drawn) == 4  # the held-out ones alone


def test_the_shipped_model_tells_sound_from_defective_clips():
    model = DOVER.from_pretrained(SHIPPED)
    right = 0
    for index in range(60):
        sample = draw_sample((987_654, index))
        scores = model.score(sample.frames)
        assert 0 <= scores["overall"] <= 1
        right += (scores["technical"] > model.config["threshold"]) == (sample.defect is None)
    assert right >= 57


def test_the_shipped_model_is_small():
    assert sum(file.stat().st_size for file in SHIPPED.iterdir()) <= 2.5e6
    assert np.isfinite(DOVER.from_pretrained(SHIPPED).config["technical_fusion"]).all()
