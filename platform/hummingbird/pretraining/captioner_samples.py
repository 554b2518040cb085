"""Clips that the captioner learns from and is scored on, with what is known of every patch of a frame."""

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image

from hummingbird.pretraining.captioner_model import IMAGES, PATCH
from hummingbird.pretraining.rewards import attributes_of
from hummingbird.shapes.coding import recode
from hummingbird.shapes.scene import (
    BACKGROUNDS,
    COLORS,
    MOTIONS,
    RELATIONS,
    SHAPES,
    SIZE,
    Attributes,
    Scene,
    Texture,
    format_caption,
    render,
    sample_scene,
)

OPPOSITE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
OUTLINE = 10  # side of the silhouette that patches are taught, in samples


def draw_clip(rng: np.random.Generator, images: int) -> tuple[Scene, NDArray[np.uint8], NDArray[np.uint8]]:
    """A scene, frames of it as curation's clips show them, and where its objects are.

    Returns:
        the scene, frames (images, SIZE, SIZE, 3), and the share of each object in each pixel, 0 to 255,
        (images, 2, SIZE, SIZE).
    """
    scene = sample_scene(rng, duration=float(rng.uniform(2.0, 3.6)))
    span = float(rng.uniform(1.8, scene.duration))
    start = float(rng.uniform(0, scene.duration - span))
    times = start + np.linspace(0, span, images)
    size = int(rng.choice([SIZE, SIZE, 96, 128, 144]))
    frames = render(scene, times, size, size)
    # JPEG's blocks and halved color stand in for H.264's, at a tenth of the time.
    quality = int(rng.integers(60, 98)) if rng.random() < 0.8 else None
    gain, shift, noise = rng.uniform(0.94, 1.06), rng.uniform(-8, 8), rng.uniform(0, 3)
    out = np.empty((images, SIZE, SIZE, 3), np.uint8)
    for index, frame in enumerate(frames):
        if quality is not None:
            coded = cv2.imencode(".jpg", frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
            frame = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR))[..., ::-1]
        if size != SIZE:
            frame = np.asarray(Image.fromarray(frame).resize((SIZE, SIZE), Image.Resampling.BICUBIC))
        noisy = frame * gain + shift + noise * rng.standard_normal(frame.shape, np.float32)
        out[index] = np.clip(noisy + 0.5, 0, 255).astype(np.uint8)
    # Objects in pure red and green on black: the drawing is its own mask.
    masked = replace(
        scene,
        texture=Texture("striped", 1.0, (0.0, 0.0), (0, 0, 0), (0, 0, 0)),
        objects=tuple(
            replace(o, rgb=rgb) for o, rgb in zip(scene.objects, ((255, 0, 0), (0, 255, 0)), strict=False)
        ),
    )
    masks = render(masked, times, SIZE, SIZE)[..., :2].transpose(0, 3, 1, 2)
    return scene, out, np.ascontiguousarray(masks)


class LabeledClips:
    """``count`` drawn clips: pixels (count * images, 3, SIZE, SIZE) in -1..1, scenes, and labels of patches."""

    def __init__(self, key: tuple[int, ...], count: int, images: int) -> None:
        rng = np.random.default_rng(key)
        drawn = [draw_clip(rng, images) for _ in range(count)]
        self.scenes = [scene for scene, _, _ in drawn]
        frames = torch.from_numpy(np.concatenate([frames for _, frames, _ in drawn]))
        self.pixels = frames.permute(0, 3, 1, 2).float() / 127.5 - 1
        masks = torch.from_numpy(np.concatenate([masks for _, _, masks in drawn])).float() / 255
        share, owner = F.avg_pool2d(masks, PATCH).flatten(2).max(dim=1)  # (N, patches)
        names: dict[str, tuple[list[str], Callable[[Scene, int], str]]] = {
            "color": (list(COLORS), lambda s, i: s.objects[i].color),
            "shape": (list(SHAPES), lambda s, i: s.objects[i].shape),
            "motion": (list(MOTIONS), lambda s, i: s.motion),
            "background": (list(BACKGROUNDS), lambda s, i: s.background),
            "relation": (["", *RELATIONS], _relation),
        }
        self.on_object = share > 0.15
        self.labels = {}
        for name, (known, of) in names.items():
            ids = torch.tensor(
                [[known.index(of(s, min(i, len(s.objects) - 1))) for i in (0, 1)] for s in self.scenes]
            )
            self.labels[name] = ids.repeat_interleave(images, 0).gather(1, owner)
        # Where nothing is, the color is one more class; patches that only touch an object say nothing.
        self.labels["color"] = torch.where(self.on_object, self.labels["color"], len(COLORS))
        self.labels["color"][(share > 0.03) & ~self.on_object] = -100
        area = masks.sum((2, 3)).clamp(min=1)
        axis = (torch.arange(SIZE) + 0.5) / SIZE - 0.5
        place = torch.stack([(masks.sum(2) * axis).sum(2), (masks.sum(3) * axis).sum(2)], 2) / area[..., None]
        geometry = torch.cat([4 * place, 4 * area.sqrt()[..., None] / SIZE], 2)  # (N, 2, 3), of order 1
        self.geometry = geometry.gather(1, owner[..., None].expand(-1, -1, 3))
        drawn_masks = [_silhouette(m) for _, _, masks in drawn for image in masks for m in image]
        silhouettes = torch.from_numpy(np.stack(drawn_masks)).unflatten(0, (-1, 2)).float() / 255
        self.silhouette = silhouettes[torch.arange(len(owner))[:, None], owner][self.on_object]


def written_caption(scene: Scene) -> str:
    """The true caption that begins with the object on the left or above: of two true orders the one to learn."""
    shown = attributes_of(scene)
    if shown.relation in ("right of", "below"):
        shown = replace(shown, objects=shown.objects[::-1], relation=OPPOSITE[shown.relation])
    return format_caption(shown)


def _relation(scene: Scene, index: int) -> str:
    """Where the object lies, seen from the other one; "" where there is none."""
    relation = scene.relation or ""
    return relation if index == 0 else OPPOSITE.get(relation, "")


def _silhouette(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The object of ``mask`` (SIZE, SIZE) at one size and place, flattened."""
    area = mask.sum(dtype=np.float64) / 255
    if area < 4:
        return np.zeros(OUTLINE * OUTLINE, np.uint8)
    moments = cv2.moments(mask)
    scale = OUTLINE / (2.0 * area**0.5)
    middle = OUTLINE / 2 - 0.5
    x, y = (middle - scale * moments[m] / moments["m00"] for m in ("m10", "m01"))
    matrix = np.array([[scale, 0, x], [0, scale, y]])
    return np.asarray(
        cv2.warpAffine(mask, matrix, (OUTLINE, OUTLINE), flags=cv2.INTER_LINEAR).flatten(), np.uint8
    )


def coded_clip(rng: np.random.Generator) -> tuple[Attributes, NDArray[np.uint8]]:
    """What a clip shows, and its IMAGES frames (IMAGES, H, W, 3) after H.264 at a usual quality, as curated."""
    scene = sample_scene(rng, duration=float(rng.uniform(2.1, 3.6)))
    width, height = ((128, 128), (160, 128), (192, 144), (256, 144), (144, 256), (192, 192))[
        int(rng.integers(6))
    ]
    fps = int(rng.choice([12, 15, 24, 25, 30]))
    seconds = float(rng.choice([2.0, scene.duration]))
    frames = recode(
        render(scene, np.arange(round(seconds * fps)) / fps, width, height), int(rng.integers(15, 24))
    )
    return attributes_of(scene), frames[np.linspace(0, len(frames) - 1, IMAGES).round().astype(int)]
