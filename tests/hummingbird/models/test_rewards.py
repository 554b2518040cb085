"""Rewards: cosines of unit vectors, gradients to the pixels, and the video head's number of frames."""

import pytest
import torch
from hummingbird.models.rewards import TextVideoScorer

TEXT = {
    "vocab_size": 10, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
    "max_position_embeddings": 6, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 3,
}  # fmt: skip


@pytest.fixture(scope="module")
def scorer() -> TextVideoScorer:
    torch.manual_seed(0)
    return TextVideoScorer(text=TEXT, frames=4, widths=(8, 8, 8), embedding=16).eval()


@pytest.fixture(scope="module")
def text() -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.tensor([[1, 4, 5, 3, 0, 0], [1, 6, 3, 0, 0, 0]])
    return ids, (ids > 0).long()


def test_scores_are_cosines_with_gradients_to_the_pixels(
    scorer: TextVideoScorer, text: tuple[torch.Tensor, torch.Tensor]
) -> None:
    video = torch.rand(2, 4, 3, 64, 64, requires_grad=True)
    both = torch.stack([scorer.video_score(video, *text), scorer.image_score(video[:, 0], *text)])
    assert both.shape == (2, 2)
    assert both.abs().max() <= 1
    both.sum().backward()
    assert video.grad is not None
    assert (video.grad.abs().sum((1, 2, 3, 4)) > 0).all()


def test_frames_after_each_other_belong_to_one_text(
    scorer: TextVideoScorer, text: tuple[torch.Tensor, torch.Tensor]
) -> None:
    frames = torch.rand(2, 3, 3, 64, 64)
    frame_scores = torch.stack([scorer.image_score(frames[:, k], *text) for k in range(3)], 1)
    torch.testing.assert_close(scorer.image_score(frames.flatten(0, 1), *text), frame_scores.flatten())


def test_the_order_of_frames_matters_to_the_video_reward(
    scorer: TextVideoScorer, text: tuple[torch.Tensor, torch.Tensor]
) -> None:
    video = torch.rand(2, 4, 3, 64, 64)
    assert not torch.allclose(scorer.video_score(video, *text), scorer.video_score(video.flip(1), *text))


def test_another_number_of_frames_is_refused(scorer: TextVideoScorer) -> None:
    with pytest.raises(ValueError, match="sees 4 frames, not 5"):
        scorer.embed_video(torch.rand(1, 5, 3, 64, 64))
