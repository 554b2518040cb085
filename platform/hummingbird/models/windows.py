"""Videos longer than a model was trained for: overlapping windows of the length it knows, fused at every step.

Sources: windows denoised together, Gen-L-Video (arXiv 2305.18264); noise that far frames have in common, in another
order, FreeNoise (arXiv 2310.15169).
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Predict = Callable[[Tensor, Tensor, Tensor], Tensor]
"""What a model predicts at x (B, C, T, h, w), timesteps (B,) and text (B, L, D)."""


def check_window(window: int) -> None:
    """Raises ValueError for a window of less than two frames, which no other can overlap."""
    if window < 2:
        raise ValueError(f"window_frames={window}: a window has at least two frames")


def window_starts(num_frames: int, window: int) -> list[int]:
    """First frames of windows, each half a window on from the one before; the last ends with the video."""
    last = max(num_frames - window, 0)
    return [*range(0, last, window // 2), last]


def in_windows(predict: Predict, num_frames: int, window: int) -> Predict:
    """The mean of what the windows predict, in which a window's middle counts most."""
    starts = window_starts(num_frames, window)
    if len(starts) == 1:
        return predict
    rise = torch.arange(1, window + 1, dtype=torch.float32)
    shape = torch.minimum(rise, rise.flip(0)).view(-1, 1, 1)

    def fused(x: Tensor, t: Tensor, text: Tensor) -> Tensor:
        total, weight = torch.zeros_like(x, dtype=torch.float32), x.new_zeros(x.shape[2], 1, 1)
        own = shape.to(x.device)
        for start in starts:
            part = slice(start, start + window)
            total[:, :, part] += own * predict(x[:, :, part], t, text)
            weight[part] += own
        return total / weight

    return fused


def rescheduled(
    noise: Tensor, num_frames: int, generators: torch.Generator | Sequence[torch.Generator] | None
) -> Tensor:
    """Noise (B, C, T, h, w) of a long video from that of one window (B, C, window, h, w).

    Every half window more has the noise of the half window that lies a window before it, its frames in another order.
    """
    window, count = noise.shape[2], len(noise)
    half = max(window // 2, 1)
    each = list(generators) if isinstance(generators, Sequence) else [generators] * count
    videos = []
    for video, generator in zip(noise.unbind(), each, strict=True):
        frames = list(video.unbind(1))
        while len(frames) < num_frames:
            device = "cpu" if generator is None else generator.device
            order = torch.randperm(half, generator=generator, device=device).tolist()
            before = frames[-window : len(frames) - window + half]
            frames += [before[index] for index in order]
        videos.append(torch.stack(frames[:num_frames], 1))
    return torch.stack(videos)
