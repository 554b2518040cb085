"""DOVER at small widths; tests of importing hold the published network to its reference."""

import numpy as np
import pytest
import torch
from hummingbird.models.dover import DOVER

SMALL = {
    "technical_width": 8,
    "technical_depths": (2, 2),
    "technical_heads": (1, 2),
    "technical_window": (2, 4, 4),
    "aesthetic_widths": (8, 16),
    "aesthetic_depths": (2, 1),
    "head_width": 8,
    "technical_view": {"fragments": 4, "patch": 16, "frames": 4, "stride": 2, "clips": 2},
    "aesthetic_view": {"size": 32, "frames": 4, "stride": 2},
}


def test_a_saved_instance_scores_the_same(tmp_path):
    torch.manual_seed(0)
    model = DOVER(**SMALL).eval()
    frames = np.random.default_rng(0).integers(0, 256, (9, 50, 70, 3), np.uint8)
    model.save_pretrained(tmp_path)
    assert (tmp_path / "diffusion_pytorch_model.safetensors").exists()
    again = DOVER.from_pretrained(tmp_path)
    assert again.score(frames, seed=3) == model.score(frames, seed=3)
    assert again.score(frames, seed=3) != model.score(frames, seed=4)


def test_overall_fuses_normalized_scores():
    model = DOVER(**SMALL)
    assert model.fuse(0.1107, -0.08285) == pytest.approx(0.5)
    # one deviation above the mean in each: sigmoid(0.6104 + 0.3896)
    assert model.fuse(0.1107 + 0.07355, -0.08285 + 0.03774) == pytest.approx(1 / (1 + np.exp(-1)))
    assert model.fuse(1e9, 0.0) == 1.0


def test_bad_frames_and_training_mode_are_refused():
    model = DOVER(**SMALL)
    frames = np.zeros((4, 32, 32, 3), np.uint8)
    with pytest.raises(RuntimeError, match="eval"):
        model.train().score(frames)
    model.eval()
    for wrong in (frames[0], frames.astype(np.float32), frames[:0], frames[..., :1]):
        with pytest.raises(ValueError, match="uint8"):
            model.score(wrong)
