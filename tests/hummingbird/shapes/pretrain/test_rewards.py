"""What the rewards learn to score below a sound clip."""

import torch
from hummingbird.shapes.pretrain.rewards import _pixels, disturbed, draw_batch


def clips(count: int = 6) -> torch.Tensor:
    videos, *_ = draw_batch(seed=0, count=count, negatives=1, step=0)
    return _pixels(videos, torch.Generator().manual_seed(0))


def test_clips_are_disturbed_in_time_each_in_its_way() -> None:
    still = clips()[:, :1].expand(-1, 8, -1, -1, -1)
    poor = disturbed(still, torch.Generator().manual_seed(1))
    change = (poor - still).abs().mean(dim=(1, 2, 3, 4))
    unsteady = (poor[:, 1:] - poor[:, :-1]).abs().mean(dim=(1, 2, 3, 4))
    wobbling, flickering, ghostly = (torch.arange(6) % 3 == kind for kind in range(3))
    assert bool((unsteady[wobbling | flickering] > 0.005).all())
    # What stands still leaves no ghosts.
    assert float(change[ghostly].max()) < 1e-6


def test_what_moves_leaves_ghosts() -> None:
    moving = clips()[2:3].expand(3, -1, -1, -1, -1)  # the third is a ghostly one
    poor = disturbed(moving, torch.Generator().manual_seed(1))[2]
    mixed = poor - moving[2]
    before = moving[2].roll(1, 0) - moving[2]
    share = (mixed * before).sum() / before.square().sum()
    assert 0.2 <= float(share) <= 0.6
    torch.testing.assert_close(mixed, share * before, atol=1e-4, rtol=0)


def test_the_same_seed_disturbs_alike() -> None:
    videos = clips()
    first, second = (disturbed(videos, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first, second)
