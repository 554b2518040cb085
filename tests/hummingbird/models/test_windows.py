from pathlib import Path

import pytest
import torch
from hummingbird.models.pipeline import load_pipeline
from hummingbird.models.windows import in_windows, rescheduled, window_starts
from torch import Tensor


@pytest.mark.parametrize(
    ("frames", "window", "starts"),
    [(16, 16, [0]), (8, 16, [0]), (26, 16, [0, 8, 10]), (40, 16, [0, 8, 16, 24]), (17, 16, [0, 1])],
)
def test_windows_overlap_and_cover_every_frame(frames: int, window: int, starts: list[int]) -> None:
    assert window_starts(frames, window) == starts
    seen = {frame for start in starts for frame in range(start, start + window)}
    assert seen >= set(range(frames))


def test_windows_that_agree_are_fused_into_what_they_say() -> None:
    x = torch.randn(2, 3, 11, 2, 2)
    lengths = []

    def predict(part: Tensor, t: Tensor, text: Tensor) -> Tensor:
        lengths.append(part.shape[2])
        return part * 2

    fused = in_windows(predict, 11, 4)(x, torch.zeros(2), torch.zeros(2, 1, 1))
    torch.testing.assert_close(fused, x * 2)
    assert set(lengths) == {4}


def test_frames_in_a_windows_middle_count_more_than_at_its_ends() -> None:
    calls = iter((0.0, 1.0, 2.0))
    fused = in_windows(lambda x, t, text: torch.full_like(x, next(calls)), 8, 4)(
        torch.zeros(1, 1, 8, 1, 1), torch.zeros(1), torch.zeros(1, 1, 1)
    )
    values = fused.flatten().tolist()
    assert values[0] == 0
    assert values == sorted(values)
    assert values[-1] == 2


def test_far_frames_have_the_noise_of_near_ones_in_another_order() -> None:
    noise = torch.randn(2, 4, 8, 3, 3)
    generators = [torch.Generator().manual_seed(seed) for seed in (1, 2)]
    longer = rescheduled(noise, 19, generators)
    assert longer.shape == (2, 4, 19, 3, 3)
    assert torch.equal(longer[:, :, :8], noise)
    for video, first in zip(longer, noise, strict=True):
        for block, source in ((slice(8, 12), slice(0, 4)), (slice(12, 16), slice(4, 8))):
            ours = sorted(float(frame.sum()) for frame in video[:, block].unbind(1))
            assert ours == sorted(float(frame.sum()) for frame in first[:, source].unbind(1))
    alone = rescheduled(noise[1:], 19, [torch.Generator().manual_seed(2)])
    assert torch.equal(alone[0], longer[1])


def test_a_long_video_is_made_in_windows_and_a_short_one_as_without(tiny_teacher: Path) -> None:
    pipeline = load_pipeline(tiny_teacher)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in pipeline.unet.parameters():
            parameter.normal_(std=0.1)
    pipeline.set_progress_bar_config(disable=True)

    def video(frames: int, window: int | None) -> Tensor:
        generator = torch.Generator().manual_seed(3)
        made: Tensor = pipeline(
            "clip", num_frames=frames, window_frames=window, num_inference_steps=2, generator=generator,
            output_type="latent",
        ).frames  # fmt: skip
        return made

    assert torch.equal(video(4, 4), video(4, None))
    assert video(10, 4).shape[2] == 10
    assert not torch.allclose(video(10, 4), video(10, None))
    with pytest.raises(ValueError, match="window_frames=1"):
        video(10, 1)
