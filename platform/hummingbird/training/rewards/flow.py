"""Optical flow without weights, differentiable: Lucas and Kanade's over a pyramid, as Bouguet (2001) describes it."""

import torch
import torch.nn.functional as F
from torch import Tensor

_WINDOW = 7  # pixels: side of the neighborhood that moves as one
_FLOOR = 1e-4  # added to the products of slopes (of brightness in 0..1): even regions do not move


def gray(frames: Tensor) -> Tensor:
    """Brightness (N, 1, H, W) of frames (N, 3, H, W) in 0..1."""
    weights = torch.tensor([0.299, 0.587, 0.114], device=frames.device, dtype=frames.dtype)
    return (frames * weights.view(3, 1, 1)).sum(1, keepdim=True)


def optical_flow(a: Tensor, b: Tensor, levels: int = 4, steps: int = 3) -> Tensor:
    """Where points of ``a`` are found in ``b``: (N, 2, H, W), (dx, dy) in pixels; differentiable.

    Args:
        a, b: brightness (N, 1, H, W) in 0..1.
        levels: of the pyramid at most, each half as large; the smallest has at least 8 pixels.
        steps: a level.
    """
    pyramid = [(a, b)]
    while len(pyramid) < levels and min(pyramid[-1][0].shape[2:]) >= 16:
        pyramid.append(tuple(F.avg_pool2d(image, 2) for image in pyramid[-1]))  # type: ignore[arg-type]
    flow = a.new_zeros(len(a), 2, *pyramid[-1][0].shape[2:])
    for first, second in reversed(pyramid):
        size = first.shape[2:]
        if flow.shape[2:] != size:
            scale = flow.new_tensor([size[1] / flow.shape[3], size[0] / flow.shape[2]]).view(2, 1, 1)
            flow = F.interpolate(flow, tuple(size), mode="bilinear", align_corners=False) * scale
        dx, dy = _slopes(first)
        xx, xy, yy = (_window(product) for product in (dx * dx, dx * dy, dy * dy))
        xx, yy = xx + _FLOOR, yy + _FLOOR
        determinant = xx * yy - xy * xy
        for _ in range(steps):
            change = warp(second, flow) - first
            xt, yt = _window(dx * change), _window(dy * change)
            flow = flow - torch.cat([yy * xt - xy * yt, xx * yt - xy * xt], 1) / determinant
    return flow


def warp(image: Tensor, flow: Tensor) -> Tensor:
    """``image`` (N, C, H, W) looked up where ``flow`` (N, 2, H, W) leads; beyond the edge, its edge."""
    height, width = image.shape[2:]
    rows = torch.arange(height, device=image.device, dtype=image.dtype).view(1, -1, 1)
    columns = torch.arange(width, device=image.device, dtype=image.dtype).view(1, 1, -1)
    x, y = columns + flow[:, 0], rows + flow[:, 1]
    places = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], -1)
    return F.grid_sample(image, places, padding_mode="border", align_corners=False)


def inside(flow: Tensor) -> Tensor:
    """Where ``flow`` (N, 2, H, W) does not lead out of the picture: (N, 1, H, W), 0 or 1."""
    height, width = flow.shape[2:]
    rows = torch.arange(height, device=flow.device).view(1, -1, 1)
    columns = torch.arange(width, device=flow.device).view(1, 1, -1)
    x, y = columns + flow[:, 0], rows + flow[:, 1]
    stays = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    return stays[:, None].to(flow.dtype)


def _slopes(image: Tensor) -> tuple[Tensor, Tensor]:
    padded = F.pad(image, (1, 1, 1, 1), mode="replicate")
    dx = (padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]) / 2
    dy = (padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]) / 2
    return dx, dy


def _window(values: Tensor) -> Tensor:
    side = min(_WINDOW, *values.shape[2:])
    return F.avg_pool2d(values, side, 1, side // 2, count_include_pad=False)[
        :, :, : values.shape[2], : values.shape[3]
    ]
