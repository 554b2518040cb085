"""Labeled clips for pretraining the quality model: sound and defective, as they look out of an H.264 file.

Half and more are scenes of the shapes world; the others are dead leaves, the standard random image with the
statistics of natural ones, so that the model learns what blur, noise and compression are and not what this
world's textures are. Strengths range wider than those of footage, and the seeds are others.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from hummingbird.shapes.coding import recode
from hummingbird.shapes.defects import ZOOM_MARGIN, apply_defect, near_copy
from hummingbird.shapes.scene import DIRECTIONS, Scene, render, sample_scene

Frames = NDArray[np.uint8]

DEFECTS = ("blur", "noise", "compression")
"""What the technical score must fall for."""
DISTRACTORS = ("text", "zoom", "flicker", "freeze", "static", "near_copy")
"""Defects too, but not of this kind: the technical score must not fall for them."""

_SIDES = (128, 144, 160, 192, 224, 256)
_RATES = (12, 15, 24, 25, 30)


@dataclass(frozen=True)
class Sample:
    """One clip: frames uint8 (T, H, W, 3), its defect and distractor or None.

    ``composition`` in 0..1 is the target of the aesthetic score, None for a clip of another world.
    """

    frames: Frames
    defect: str | None
    distractor: str | None
    composition: float | None

    @property
    def group(self) -> str:
        world = "shapes" if self.composition is not None else "leaves"
        return f"{world} {self.defect or 'sound'}"


def draw_sample(seed: tuple[int, ...], leaves: float = 0.35) -> Sample:
    """The clip of this seed, half of them defective; a share ``leaves`` are dead leaves."""
    rng = np.random.default_rng(seed)
    width, height = (int(rng.choice(_SIDES)) for _ in range(2))
    rate = int(rng.choice(_RATES))
    count = int(rate * rng.uniform(0.9, 1.4))
    defect = str(rng.choice(DEFECTS)) if rng.random() < 0.5 else None
    distractor = str(rng.choice(DISTRACTORS)) if rng.random() < (0.2 if defect else 0.4) else None
    margin = ZOOM_MARGIN if distractor == "zoom" else 1.0
    size = round(width * margin), round(height * margin)
    composition: float | None = None
    if rng.random() < leaves:
        frames = dead_leaves(rng, count, *size)
    else:
        scene = sample_scene(rng, duration=float(rng.uniform(2.0, 4.0)))
        times = rng.uniform(0.0, scene.duration - 1.4) + np.arange(count) / rate
        frames = render(scene, times, *size)
        composition = composition_of(scene, float(times.mean()), distractor == "text")
    if distractor == "near_copy":
        frames = near_copy(frames, rng)
    elif distractor:
        frames = apply_defect(distractor, frames, rng, fps=rate, size=(width, height))
    if defect:
        frames = _DEGRADE[defect](frames, rng)
    # The file that a clip is found in is itself of ordinary quality: that must not count as a defect.
    frames = recode(frames, int(rng.integers(15, 28)))
    return Sample(frames, defect, distractor, composition)


def composition_of(scene: Scene, time: float, text: bool) -> float:
    """How well a scene is composed, 0..1, by a rule that stands in for people's taste in this world.

    The mean of three parts, each 0..1: the objects' size, how near to the center they stand on the whole, and
    their contrast with the background; overlaid text takes half of it away.
    """
    count = len(scene.objects)
    radius = scene.objects[0].radius * (math.exp(scene.speed * time) if scene.motion == "growing" else 1.0)
    dx, dy = DIRECTIONS.get(scene.motion, (0.0, 0.0))
    x = sum(o.x for o in scene.objects) / count + dx * scene.speed * time
    y = sum(o.y for o in scene.objects) / count + dy * scene.speed * time
    back = (np.asarray(scene.texture.dark) + np.asarray(scene.texture.light)) / 2
    contrast = float(np.mean([np.linalg.norm(np.asarray(o.rgb) - back) for o in scene.objects]))
    parts = (radius / 0.2, 1 - math.hypot(x, y) / 0.35, (contrast - 80) / 100)
    return float(np.clip(parts, 0, 1).mean()) * (0.5 if text else 1.0)


def dead_leaves(rng: np.random.Generator, count: int, width: int, height: int) -> Frames:
    """Overlapping textured discs of many sizes under a moving camera, (count, height, width, 3)."""
    step = rng.uniform(-4.0, 4.0, 2)  # the camera's, in half pixels a frame
    margin = np.ceil(np.abs(step) * count).astype(int)
    shape = (2 * height + int(margin[1]), 2 * width + int(margin[0]))
    base, spread = rng.uniform(20, 235, 3), rng.uniform(15, 70)
    # radii r with density ~ r^-3, as many details at every scale; then a few large ones over them
    small = 6.0 / np.sqrt(1 - rng.random(int(rng.integers(30, 400))))
    large = rng.uniform(0.05, 0.3, int(rng.integers(0, 12))) * min(shape)
    canvas = np.empty((*shape, 3), np.float32)
    canvas[:] = base
    for radius in np.minimum(np.concatenate([small, large]), 0.5 * min(shape)):
        center = (int(rng.uniform(0, shape[1])), int(rng.uniform(0, shape[0])))
        color = np.clip(base + rng.normal(0, spread) + rng.normal(0, spread / 2, 3), 0, 255)
        cv2.circle(canvas, center, round(float(radius)), tuple(color.tolist()), -1)
    canvas += _surface(rng, shape) * float(rng.uniform(0, 22))
    canvas += (np.linspace(-1, 1, shape[0])[:, None, None] * rng.uniform(-25, 25)).astype(np.float32)
    softness = float(rng.uniform(0.1, 1.0))  # a lens is never perfectly sharp
    frames = np.empty((count, height, width, 3), np.uint8)
    for index in range(count):
        left, top = (round(float(v)) for v in np.where(step < 0, margin, 0) + step * index)
        window = canvas[top : top + 2 * height, left : left + 2 * width]
        frame = cv2.resize(window, (width, height), interpolation=cv2.INTER_AREA)
        frames[index] = np.clip(cv2.GaussianBlur(frame, (0, 0), softness), 0, 255).astype(np.uint8)
    return frames


def _surface(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float32]:
    """A random texture with amplitude ~ 1/f, float32 (H, W, 1) of unit deviation."""
    frequency = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None])
    frequency[0, 0] = np.inf
    spectrum = rng.normal(size=frequency.shape) + 1j * rng.normal(size=frequency.shape)
    field = np.fft.irfft2(spectrum / frequency, shape)
    return np.asarray(field / field.std(), np.float32)[..., None]


def _blur(frames: Frames, rng: np.random.Generator) -> Frames:
    sigma = float(rng.uniform(0.013, 0.035)) * min(frames.shape[1:3])
    if rng.random() < 0.5:
        return np.stack([cv2.GaussianBlur(f, (0, 0), sigma) for f in frames]).astype(np.uint8)
    reach = math.ceil(2 * sigma)  # out of focus: a disc of the same spread
    ys, xs = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = np.clip(2 * sigma + 0.5 - np.hypot(xs, ys), 0, 1).astype(np.float32)
    return np.stack([cv2.filter2D(f, -1, disc / disc.sum()) for f in frames]).astype(np.uint8)


def _noise(frames: Frames, rng: np.random.Generator) -> Frames:
    channels = 1 if rng.random() < 0.3 else 3  # of gray levels, or of every color by itself
    noise = rng.standard_normal((*frames.shape[:3], channels), dtype=np.float32) * float(rng.uniform(18, 48))
    return np.clip(frames + noise, 0, 255).astype(np.uint8)


def _compression(frames: Frames, rng: np.random.Generator) -> Frames:
    return recode(frames, int(rng.integers(44, 52)))


_DEGRADE: dict[str, Callable[[Frames, np.random.Generator], Frames]] = {
    "blur": _blur,
    "noise": _noise,
    "compression": _compression,
}
