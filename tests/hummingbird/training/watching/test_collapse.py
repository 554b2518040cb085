"""The collapse detector fires on planted collapses, and on no good videos."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hummingbird.shapes.scene import draw_clip
from hummingbird.training.watching.collapse import CollapseDetector, collapses
from torch import Tensor

MOVING = 0.004


def clips(seed: int, count: int = 4) -> Tensor:
    """Videos of the small world in which something moves (N, T, 3, H, W)."""
    rng, made = np.random.default_rng(seed), []
    while len(made) < count:
        frames, _ = draw_clip(rng)
        video = torch.from_numpy(frames).permute(0, 3, 1, 2) / 255
        if float((video[1:] - video[:-1]).abs().mean()) > MOVING:
            made.append(video)
    return torch.stack(made)


def noise(videos: Tensor) -> Tensor:
    return torch.rand(videos.shape, generator=torch.Generator().manual_seed(0))


PLANTED: dict[str, Callable[[Tensor], Tensor]] = {
    "grey": lambda videos: 0.5 + 0.1 * (videos - 0.5),
    "noise": lambda videos: (0.5 * videos + 0.5 * noise(videos)).clamp(0, 1),
    "frozen": lambda videos: videos[:, :1].expand_as(videos),
    "saturated": lambda videos: ((videos - videos.mean((1, 2, 3, 4), keepdim=True)) * 1e3 + 0.5).clamp(0, 1),
    "all alike": lambda videos: videos[:1].expand_as(videos),
    "far from the teacher": lambda videos: (videos * 0.3).clamp(0, 1),
}


@pytest.mark.parametrize("kind", PLANTED)
@pytest.mark.parametrize("seed", range(2))
def test_planted_collapses_are_seen(kind: str, seed: int) -> None:
    videos = clips(seed)
    found = collapses(PLANTED[kind](videos), videos)
    assert kind in found, found


@pytest.mark.parametrize("seed", range(3))
def test_good_videos_are_not_collapses(seed: int) -> None:
    """The teacher's own, as another seed makes them, a little noisier, softer, paler, slower."""
    videos = clips(seed, 8)
    soft = torch.nn.functional.avg_pool3d(videos.transpose(1, 2), (1, 3, 3), 1, (0, 1, 1)).transpose(1, 2)
    slow = videos[:, [index // 2 for index in range(videos.shape[1])]]
    for good in (videos, (videos + 0.03 * (noise(videos) - 0.5)).clamp(0, 1), soft, 0.1 + 0.8 * videos, slow):
        assert not collapses(good, videos)
    assert not collapses(clips(seed + 100, 8), videos)


def test_a_pruned_student_may_begin_grey_and_what_was_good_must_stay_so() -> None:
    grey = {"grey": "contrast 0.01"}
    detector = CollapseDetector()
    assert detector.see(grey, last_half=False) == []
    assert detector.see(grey, last_half=False) == []  # not learned yet
    assert detector.see({}, last_half=False) == []
    assert detector.see(grey, last_half=False) == ["the videos are grey: contrast 0.01"]
    assert CollapseDetector([["grey"], ["grey"]]).see(grey, last_half=False) == []
    assert CollapseDetector([["grey"], []]).see(grey, last_half=False)
    assert CollapseDetector([["grey"]]).see(grey, last_half=True)  # by then it should have


def test_what_the_teacher_is_by_nature_is_no_collapse() -> None:
    still = clips(3)[:, :1].expand(-1, 16, -1, -1, -1)
    assert not collapses(still, still)
    white = torch.ones(2, 4, 3, 16, 16)
    white[:, :, :, 4:8, 4:8] = torch.tensor([0.2, 0.7]).view(2, 1, 1, 1, 1)
    assert "saturated" not in collapses(white, white)
