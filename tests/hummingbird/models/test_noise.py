"""Noise that the frames of a clip share."""

import pytest
import torch
from hummingbird.models.scheduler import VideoScheduler


@pytest.mark.parametrize("share", [0.0, 0.25, 0.75])
def test_frames_share_the_given_part_of_the_noise_and_clips_and_places_none(share: float) -> None:
    generator = torch.Generator().manual_seed(0)
    noise = VideoScheduler(shared_noise=share).draw_noise((64, 4, 5, 16, 16), generator)
    assert noise.square().mean().item() == pytest.approx(1, abs=0.02)
    first, second = noise[:, :, 0], noise[:, :, 1]
    assert (first * second).mean().item() == pytest.approx(share, abs=0.02)
    assert (first[:-1] * first[1:]).mean().item() == pytest.approx(0, abs=0.02)
    assert (first[..., :-1] * first[..., 1:]).mean().item() == pytest.approx(0, abs=0.02)


def test_without_a_share_the_noise_is_what_torch_draws() -> None:
    drawn = VideoScheduler().draw_noise((1, 2, 3, 4, 4), torch.Generator().manual_seed(1))
    assert torch.equal(drawn, torch.randn(1, 2, 3, 4, 4, generator=torch.Generator().manual_seed(1)))
