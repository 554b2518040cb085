"""Rewards of published models, in small: what they see, what they say, what they declare."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hummingbird.core.errors import InputError
from hummingbird.models.dover import DOVER
from hummingbird.training.rewards.preprocessing import Preprocessing
from hummingbird.training.rewards.quality import QualityReward, QualityRewardSettings
from hummingbird.training.rewards.term import declaration, resolve_rewards
from hummingbird.training.rewards.text import (
    ImageTextReward,
    ImageTextSettings,
    VideoTextReward,
    VideoTextSettings,
)
from PIL import Image
from torch import Tensor
from transformers import AutoTokenizer, CLIPImageProcessor, CLIPModel, XCLIPModel

CPU = torch.device("cpu")
CAPTIONS = ["a red circle", "blue square"]


def smooth(*shape: int) -> Tensor:
    """Videos (B, T, 3, H, W) in 0..1, in whole 255ths."""
    noise = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    small = torch.nn.functional.avg_pool2d(noise.flatten(0, -4), 5, 1, 2)
    return (small * 255).round().div(255).view(shape)


def test_frames_are_prepared_as_the_published_processor_does(tiny_clip: Path) -> None:
    frames = smooth(1, 3, 3, 40, 66)[0]
    images = [Image.fromarray((frame.permute(1, 2, 0) * 255).round().byte().numpy()) for frame in frames]
    expected = CLIPImageProcessor.from_pretrained(tiny_clip)(images=images, return_tensors="pt")[
        "pixel_values"
    ]
    ours = Preprocessing.of(tiny_clip)(frames)
    assert ours.shape == expected.shape == (3, 3, 24, 24)
    torch.testing.assert_close(ours, expected, atol=0.02, rtol=0)  # theirs rounds to bytes: 1/255 are 0.015


def test_a_folder_without_preprocessing_or_tokenizer_is_refused(tiny_clip: Path, tiny_xclip: Path) -> None:
    with pytest.raises(InputError, match="of type xclip, the reward needs a clip"):
        ImageTextReward.declare(ImageTextSettings(model=str(tiny_xclip)))
    with pytest.raises(InputError, match=r"frames=8, but the model in .* sees 4"):
        VideoTextReward.declare(VideoTextSettings(model=str(tiny_xclip), frames=8))
    (tiny_clip / "preprocessor_config.json").rename(tiny_clip / "other.json")
    with pytest.raises(InputError, match="has no preprocessor_config"):
        ImageTextReward.declare(ImageTextSettings(model=str(tiny_clip)))
    (tiny_clip / "other.json").rename(tiny_clip / "preprocessor_config.json")
    (tiny_clip / "tokenizer.json").unlink()
    with pytest.raises(InputError, match="no tokenizer"):
        ImageTextReward.declare(ImageTextSettings(model=str(tiny_clip)))


def test_an_image_reward_is_the_models_own_similarity(tiny_clip: Path) -> None:
    reward = ImageTextReward(ImageTextSettings(model=str(tiny_clip)), CPU)
    video = smooth(2, 3, 3, 24, 24).requires_grad_()
    scores = reward.score(video, CAPTIONS)
    model, tokenizer = CLIPModel.from_pretrained(tiny_clip).eval(), AutoTokenizer.from_pretrained(tiny_clip)
    prepared = Preprocessing.of(tiny_clip)(video.flatten(0, 1))
    with torch.no_grad():
        logits = model(pixel_values=prepared, **tokenizer(CAPTIONS, padding=True, return_tensors="pt"))
    similar = (logits.logits_per_image / model.logit_scale.exp()).unflatten(0, (2, 3))
    torch.testing.assert_close(scores, torch.stack([similar[0, :, 0].mean(), similar[1, :, 1].mean()]))
    (slope,) = torch.autograd.grad(scores.sum(), video)
    assert bool((slope.abs().amax((2, 3, 4)) > 0).all())


def test_a_video_reward_is_the_models_own_similarity(tiny_xclip: Path) -> None:
    reward = VideoTextReward(VideoTextSettings(model=str(tiny_xclip)), CPU)
    video = smooth(2, 4, 3, 30, 24).requires_grad_()
    scores = reward.score(video, CAPTIONS)
    model, tokenizer = (
        XCLIPModel.from_pretrained(tiny_xclip).eval(),
        AutoTokenizer.from_pretrained(tiny_xclip),
    )
    for index, caption in enumerate(CAPTIONS):  # each alone: one of a batch does not see the others
        prepared = Preprocessing.of(tiny_xclip)(video[index])[None]
        tokens = tokenizer([caption], padding="max_length", max_length=8, return_tensors="pt")
        tokens.pop("token_type_ids", None)
        with torch.no_grad():
            output = model(pixel_values=prepared, **tokens)
        similar = output.logits_per_video[0, 0] / model.logit_scale.exp()
        torch.testing.assert_close(scores[index], similar, rtol=1e-4, atol=1e-5)
    (slope,) = torch.autograd.grad(scores.sum(), video)
    assert bool((slope.abs().amax((2, 3, 4)) > 0).all())


def test_published_rewards_declare_licence_frames_and_memory(tiny_clip: Path, tiny_xclip: Path) -> None:
    table = {"image_text": {"model": str(tiny_clip), "frames": 2}, "video_text": {"model": str(tiny_xclip)}}
    image, video = (declaration(reward) for reward in resolve_rewards("feedback.rewards", table))
    assert (image.frames, image.drawn, image.licence, image.weights) == (2, "random", "mit", tiny_clip)
    assert (video.frames, video.drawn, video.licence) == (4, "even", "cc-by-nc-4.0")
    parameters = sum(p.numel() for p in CLIPModel.from_pretrained(tiny_clip).parameters())
    assert image.memory is not None
    assert image.memory.parameters == parameters  # type: ignore[union-attr]
    assert (image.memory.inputs, image.memory.sequence) == (2, 10)  # type: ignore[union-attr]


def test_quality_is_what_the_quality_model_says_of_the_same_views(tmp_path: Path) -> None:
    torch.manual_seed(0)
    small = {"technical_width": 8, "technical_depths": (2, 2), "technical_heads": (1, 2)}
    small |= {"technical_window": (2, 4, 4), "aesthetic_widths": (8, 16), "aesthetic_depths": (2, 1)}
    small |= {
        "head_width": 8,
        "technical_view": {"fragments": 4, "patch": 16, "frames": 4, "stride": 2, "clips": 2},
    }
    small |= {"aesthetic_view": {"size": 32, "frames": 4, "stride": 2}}
    DOVER(**small).save_pretrained(tmp_path)
    reward = QualityReward(QualityRewardSettings(model=str(tmp_path)), CPU)
    video = smooth(1, 9, 3, 50, 70).requires_grad_()
    torch.manual_seed(5)
    score = reward.score(video, [""])
    torch.manual_seed(5)
    seed = int(torch.randint(2**31, (1,)))
    frames = (video[0].detach() * 255).round().byte().permute(0, 2, 3, 1).numpy()
    expected = DOVER.from_pretrained(tmp_path).eval().score(frames, seed=seed)["overall"]
    assert float(score) == pytest.approx(expected, abs=2e-3)  # views of bytes there
    (slope,) = torch.autograd.grad(score.sum(), video)
    assert float(slope.abs().max()) > 0
    declared = QualityReward.declare(QualityRewardSettings(model=str(tmp_path)))
    assert declared.memory is not None
    assert declared.memory.run(declared.memory.build()).requires_grad  # type: ignore[union-attr]
    for part in ("technical", "aesthetic"):
        alone = QualityReward(QualityRewardSettings(model=str(tmp_path), part=part), CPU)
        assert np.isfinite(float(alone.score(video.detach(), [""])))
