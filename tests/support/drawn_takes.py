"""Takes to join: pictures with things of all sizes that a camera passes over, drawn without the product."""

import cv2
import numpy as np


def scene(seed: int, width: int = 400, height: int = 120, things: int = 220) -> np.ndarray:
    """A wide picture (H, W, 3), RGB 0..255, of shaded discs of many sizes, one before the other."""
    draw = np.random.default_rng(seed)
    rgb = np.full((height, width, 3), draw.uniform(60, 160, 3))
    y, x = np.mgrid[:height, :width]
    for size in np.sort(draw.pareto(1.6, things) * 5 + 5)[::-1]:
        size = min(size, height / 2)
        across, down = (x - draw.uniform(0, width)) / size, (y - draw.uniform(0, height)) / size
        inside = across**2 + (down / draw.uniform(0.5, 1)) ** 2 < 1
        shade = 1 + 0.2 * (across * draw.uniform(-1, 1) + down * draw.uniform(-1, 1))
        rgb[inside] = (shade[..., None] * draw.uniform(25, 230, 3))[inside]
    return np.clip(rgb + draw.normal(0, 3, rgb.shape), 8, 248)


def take(seed: int, frames: int, speed: float = 0.4, size: tuple[int, int] = (192, 108)) -> np.ndarray:
    """Frames (T, H, W, 3) of a camera that pans over a scene by ``speed`` pixels a frame, float."""
    wide = scene(seed).astype(np.float32)
    lefts = [100 + 60 * np.sin(number * speed / 60) for number in range(frames)]
    ways = [np.array([[1, 0, -left], [0, 1, 0]], np.float32) for left in lefts]
    return np.stack([cv2.warpAffine(wide, way, size, flags=cv2.INTER_LINEAR) for way in ways]).astype(float)


def coded(frames: np.ndarray, seed: int = 0) -> np.ndarray:
    """As a decoder would give them: noise, uint8, at half the size."""
    noisy = frames + np.random.default_rng(seed).normal(0, 2, frames.shape)
    half = noisy.reshape(len(frames), frames.shape[1] // 2, 2, frames.shape[2] // 2, 2, 3).mean((2, 4))
    return np.clip(half, 0, 255).astype(np.uint8)


def timed(frames: np.ndarray, fps: float = 25.0):
    return ((number / fps, frame) for number, frame in enumerate(frames))


def dissolved(a: np.ndarray, b: np.ndarray, first: int, length: int) -> np.ndarray:
    """``a``, from frame ``first`` on ``length`` mixed frames, then ``b``."""
    share = np.clip((np.arange(len(a)) - first + 1) / (length + 1), 0, 1)[:, None, None, None]
    return a * (1 - share) + b * share


def wiped(a: np.ndarray, b: np.ndarray, first: int, length: int, when: np.ndarray) -> np.ndarray:
    """``b`` comes over ``a`` from frame ``first`` on; ``when`` (H, W), 0..1: at which part of the ``length``."""
    part = (np.arange(len(a)) - first + 1) / (length + 1)
    return np.where((when[None] < part[:, None, None])[..., None], b, a)


def sweeps(height: int = 108, width: int = 192) -> dict[str, np.ndarray]:
    """When an edge passes each place, for edges of many kinds."""
    y, x = (np.mgrid[:height, :width] + 0.5) / np.array([height, width])[:, None, None]
    circle = np.hypot((x - 0.5) * width, (y - 0.5) * height)
    return {
        "from_left": x, "from_right": 1 - x, "from_above": y, "from_below": 1 - y, "diagonal": (x + y) / 2,
        "circle": circle / circle.max(), "doors": 2 * np.abs(x - 0.5),
    }  # fmt: skip
