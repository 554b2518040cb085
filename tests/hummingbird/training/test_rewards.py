"""The rewards of the shapes world as rewards."""

from pathlib import Path

import pytest
import torch
from hummingbird.config.plugins import Plugin
from hummingbird.core.errors import InputError
from hummingbird.models.pipeline import load_pipeline
from hummingbird.training.rewards.shapes import (
    ShapesImageReward,
    ShapesImageSettings,
    ShapesVideoReward,
    ShapesVideoSettings,
)
from hummingbird.training.rewards.term import RewardTerm, declaration, resolve_rewards

CPU = torch.device("cpu")
CAPTIONS = ["a red circle moves left on a white background", "two words"]


def test_captions_become_the_tokens_that_the_pipeline_makes() -> None:
    pipeline = load_pipeline("shapes-student")
    reward = ShapesVideoReward(ShapesVideoSettings(), CPU)
    ids, mask = pipeline.tokenize(CAPTIONS)
    video = torch.rand(2, 8, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    expected = reward._scorer.video_score(video, ids, mask)
    torch.testing.assert_close(reward.score(video, CAPTIONS), expected, rtol=0, atol=0)


def test_scores_are_one_a_video_and_reach_its_frames(tiny_rewards: Path) -> None:
    video = torch.rand(2, 4, 3, 64, 64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    image = ShapesImageReward(ShapesImageSettings(model=str(tiny_rewards)), CPU)
    whole = ShapesVideoReward(ShapesVideoSettings(model=str(tiny_rewards)), CPU)
    assert image._scorer is whole._scorer  # held once
    for reward in (image, whole):
        scores = reward.score(video, ["a", "a a"])
        assert scores.shape == (2,)
        (slope,) = torch.autograd.grad(scores.sum(), video)
        assert bool((slope.abs().amax((1, 2, 3, 4)) > 0).all())
    alone = image.score(video[:, :1], ["a", "a a"])
    others = image.score(video[:, 1:], ["a", "a a"])
    torch.testing.assert_close(image.score(video, ["a", "a a"]), (alone + 3 * others) / 4)


def test_a_reward_declares_its_frames_licence_and_weights(tiny_rewards: Path) -> None:
    table = {"shapes_image": {"frames": 3}, "shapes_video": {"model": str(tiny_rewards), "weight": 0.5}}
    image, video = resolve_rewards("feedback.rewards", table)
    assert (declaration(image).frames, declaration(image).drawn) == (3, "random")
    assert declaration(image).licence == "apache-2.0"
    assert (declaration(video).frames, declaration(video).drawn) == (4, "even")
    assert declaration(video).weights == tiny_rewards
    assert resolve_rewards("feedback.rewards", {"shapes_image": {"weight": 0}}) == []
    other = Plugin("shapes_video", ShapesVideoReward, ShapesVideoSettings(model=str(tiny_rewards), frames=8))
    with pytest.raises(InputError, match="sees 4"):
        declaration(other)


def test_only_frames_that_are_scored_are_decoded_and_each_reward_gets_its_own(tiny_rewards: Path) -> None:
    table = {name: {"model": str(tiny_rewards)} for name in ("shapes_image", "shapes_video")}
    table["shapes_image"] |= {"frames": 1}
    decoded = []

    def decode(latents: torch.Tensor) -> torch.Tensor:
        decoded.append(latents[0, 0, :, 0, 0].tolist())
        return latents[:, :3].transpose(1, 2)

    term = RewardTerm.build(resolve_rewards("feedback.rewards", table), decode, 0.0, CPU)
    latents = (torch.arange(16) / 16).view(1, 1, 16, 1, 1).expand(1, 4, 16, 64, 64)
    scores = term.scores(latents, ["a"], torch.Generator().manual_seed(0))
    assert set(scores) == {"shapes_image", "shapes_video"}
    assert {frame * 16 for frame in decoded[0]} >= {0, 5, 10, 15}
    assert len(decoded[0]) <= 5
