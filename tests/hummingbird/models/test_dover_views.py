"""Which frames and which pixels DOVER sees."""

import numpy as np
import torch
from hummingbird.models.dover_views import (
    AestheticView,
    TechnicalView,
    aesthetic_view,
    clip_indices,
    normalize,
    technical_view,
)

VIEW = TechnicalView(fragments=4, patch=16, frames=4, stride=2, clips=3)


def pixels(view):
    """A view as (clips, T, H, W, 3), signed so that differences do not wrap."""
    return view.permute(0, 2, 3, 4, 1).numpy().astype(int)


def test_clips_lie_in_their_own_third_of_a_long_video():
    for seed in range(20):
        indices = clip_indices(90, 4, 2, 3, np.random.default_rng(seed))
        assert (np.diff(indices) == 2).all()
        for part, clip in enumerate(indices):
            assert part * 30 <= clip[0] <= clip[-1] < part * 30 + 30


def test_a_short_video_wraps_around():
    indices = clip_indices(3, 4, 2, 2, np.random.default_rng(0))
    np.testing.assert_array_equal(indices, [[0, 2, 1, 0], [1, 0, 2, 1]])


def test_fragments_are_patches_at_native_resolution_from_their_own_cells():
    # Red and green tell a pixel's column and row, blue its frame.
    frames = np.zeros((12, 96, 160, 3), np.uint8)
    frames[..., 0] = np.arange(160)
    frames[..., 1] = np.arange(96)[:, None]
    frames[..., 2] = np.arange(12)[:, None, None]
    view = technical_view(frames, VIEW, np.random.default_rng(1))
    assert view.shape == (3, 3, 4, 64, 64)
    back = pixels(view)
    for row in range(4):
        for column in range(4):
            patch = back[:, :, row * 16 : row * 16 + 16, column * 16 : column * 16 + 16]
            assert (np.diff(patch[..., 0], axis=3) == 1).all()
            assert (np.diff(patch[..., 1], axis=2) == 1).all()
            assert patch[..., 0].min() >= column * 40
            assert patch[..., 0].max() < column * 40 + 40
            assert patch[..., 1].min() >= row * 24
            assert patch[..., 1].max() < row * 24 + 24
            # one place a clip: the frames of a clip differ in blue alone
            assert (patch[:, :1, ..., :2] == patch[..., :2]).all()


def test_frames_smaller_than_the_view_are_scaled_up():
    frames = np.full((5, 20, 48, 3), 200, np.uint8)
    assert (pixels(technical_view(frames, VIEW, np.random.default_rng(0))) == 200).all()


def test_the_aesthetic_view_holds_whole_frames():
    frames = np.zeros((8, 100, 60, 3), np.uint8)
    frames[:, :50] = 255
    view = AestheticView(size=20, frames=4, stride=2)
    back = pixels(aesthetic_view(frames, view, np.random.default_rng(0)))
    assert back.shape == (1, 4, 20, 20, 3)
    assert (back[:, :, :9] == 255).all()
    assert (back[:, :, 11:] == 0).all()


def test_pixels_are_normalized_by_channel():
    view = torch.zeros(1, 3, 2, 4, 4, dtype=torch.uint8)
    view[:, 1] = 116
    expected = torch.tensor([0 - 123.675, 116 - 116.28, 0 - 103.53]) / torch.tensor([58.395, 57.12, 57.375])
    torch.testing.assert_close(normalize(view)[0, :, 0, 0, 0], expected)
