"""A video-text model with code of its own, as a reward by its import path."""

import sys
import types
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from hummingbird.training.rewards.term import declaration, resolve_rewards
from torch import Tensor, nn


class TinyDual(nn.Module):
    """Stands in for InternVideo2: the same two methods."""

    @classmethod
    def from_pretrained(cls, folder: str) -> "TinyDual":
        torch.manual_seed(0)
        return cls()

    def __init__(self) -> None:
        super().__init__()
        self.look = nn.Linear(3 * 4, 6)

    def get_vid_feat(self, frames: Tensor) -> Tensor:
        assert frames.shape[1:] == (4, 3, 16, 16)
        out: Tensor = self.look(frames.mean((3, 4)).flatten(1))
        return out

    def get_txt_feat(self, captions: Sequence[str]) -> Tensor:
        return torch.stack([torch.linspace(0, len(caption), 6) + 1 for caption in captions])


def test_a_model_with_code_of_its_own_is_a_reward(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tiny_dual", types.SimpleNamespace(TinyDual=TinyDual))  # type: ignore[arg-type]
    (tmp_path / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    settings = {"model": "tiny_dual:TinyDual", "folder": str(tmp_path), "frames": 4, "size": 16}
    (reward,) = resolve_rewards("feedback.rewards", {"dual_encoder_reward:DualEncoderReward": settings})
    assert (declaration(reward).frames, declaration(reward).licence) == (4, "apache-2.0")
    video = torch.rand(2, 4, 3, 24, 32, requires_grad=True)
    scores = reward.build(torch.device("cpu")).score(video, ["one", "another"])
    assert scores.shape == (2,)
    assert bool((scores.abs() <= 1).all())
    (slope,) = torch.autograd.grad(scores.sum(), video)
    assert bool((slope.abs().amax((1, 2, 3, 4)) > 0).all())
