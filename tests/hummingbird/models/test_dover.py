"""DOVER against the published implementation, and its small instances."""

import hashlib
import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hummingbird.models.dover import DOVER

PARITY = Path(__file__).parents[2] / "parity"
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


def noise(name, shape):
    return np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape).astype(np.float32)


def filled(name, shape):
    r = noise(name, shape)
    if len(shape) > 1:
        return r / np.sqrt(np.prod(shape[1:])).astype(np.float32)
    return np.float32(0.1) * r + np.float32(name.endswith("weight"))


def fill(name, value):
    return torch.from_numpy(np.float32(filled(name, value.shape))) if value.is_floating_point() else value


def test_scores_of_the_published_network_are_reproduced():
    case = json.loads((PARITY / "dover.json").read_text())
    expected = np.load(PARITY / "dover.npz")
    model = DOVER().eval()
    state = model.state_dict()
    assert {name: list(value.shape) for name, value in state.items()} == case["state_dict"]
    model.load_state_dict({name: fill(name, value) for name, value in state.items()})
    for branch, compute in (("aesthetic", model.aesthetic_map), ("technical", model.technical_map)):
        view = noise(branch, case["inputs"][branch]).astype(np.float16).astype(np.float32)
        assert hashlib.sha256(view.tobytes()).hexdigest() == case["sha256"][branch]
        with torch.no_grad():
            scores = compute(torch.from_numpy(view)).numpy()
        np.testing.assert_allclose(scores, expected[f"out_{branch}_map"], atol=1e-3, rtol=0)
        np.testing.assert_allclose(scores.mean((1, 2, 3, 4)), expected[f"out_{branch}"], atol=1e-3, rtol=0)


def test_a_saved_instance_scores_the_same(tmp_path):
    torch.manual_seed(0)
    model = DOVER(**SMALL).eval()
    frames = np.random.default_rng(0).integers(0, 256, (9, 50, 70, 3), np.uint8)
    model.save_pretrained(tmp_path)
    assert (tmp_path / "diffusion_pytorch_model.safetensors").exists()
    again = DOVER.from_pretrained(tmp_path)
    assert again.score(frames, seed=3) == model.score(frames, seed=3)
    assert again.score(frames, seed=3) != model.score(frames, seed=4)


def test_published_weights_are_read_as_weights_only(tmp_path):
    torch.save({"technical_head.fc_last.bias": Path("not a tensor")}, tmp_path / "DOVER.pth")
    with pytest.raises(Exception, match="Weights only load failed"):
        DOVER.from_published(tmp_path / "DOVER.pth")


def test_overall_fuses_normalised_scores():
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
