"""Defects of footage, with known strengths, applied to the frames of one shot.

All take uint8 RGB frames (T, H, W, 3) and a random generator that draws the strength, and return new frames.
Lengths are relative to the shorter side of the picture, so that a defect looks alike at every size.

| name | strength | reason |
| --- | --- | --- |
| blur | Gaussian of sigma 1.8 to 2.8 % of the side, or a disc of that spread | technical_quality |
| noise | independent Gaussian noise of sigma 24 to 40 gray levels on every color | technical_quality |
| compression | H.264 at crf 45 to 49: smeared edges, blocks, trails, washed-out colors | technical_quality |
| static | one frame for all | static |
| freeze | one stretch of 52 to 65 % of the shot, at least 1 s, shows one frame; then it goes on | freeze |
| flicker | the brightness of every frame jumps by a factor, standard deviation 10 to 18 % | flicker |
| zoom | the whole picture grows or shrinks by 12 to 20 % a second | zoom |
| text | one or two lines of text over 5 to 45 % of the picture, still from start to end | text |
"""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from hummingbird.shapes.coding import recode

Frames = NDArray[np.uint8]

REASONS = {
    "blur": "technical_quality",
    "noise": "technical_quality",
    "compression": "technical_quality",
    "static": "static",
    "freeze": "freeze",
    "flicker": "flicker",
    "zoom": "zoom",
    "text": "text",
}
_LEAST_TEXT = 9  # pixels: smaller letters cannot be read
ZOOM_MARGIN = 2.0  # frames to be zoomed are drawn this much larger, so that a zoom does not blur

_WORDS = (
    "subscribe now", "www.shapes.tv", "breaking news", "free download", "watch in HD", "episode 12",
    "like & share", "sample only", "stock footage", "(c) all rights", "follow us", "coming soon",
    "live from studio", "preview copy",
)  # fmt: skip


def apply_defect(
    name: str,
    frames: Frames,
    rng: np.random.Generator,
    *,
    fps: float = 25.0,
    size: tuple[int, int] | None = None,
) -> Frames:
    """The frames of a shot with the defect ``name`` (a key of ``REASONS``), its strength drawn from ``rng``.

    ``fps`` matters to freeze and zoom. ``size`` (width, height) is that of the result, for zoom alone: give
    it frames that are ``ZOOM_MARGIN`` times larger, or the nearest part of the zoom is enlarged and soft.

    Raises:
        ValueError: unknown name, or frames that are no uint8 (T, H, W, 3).
    """
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8:
        raise ValueError(f"expected uint8 frames (T, H, W, 3), not {frames.dtype} {frames.shape}")
    if name == "zoom":
        return _zoom(frames, rng, fps, size or (frames.shape[2], frames.shape[1]))
    if name == "freeze":
        return _freeze(frames, rng, fps)
    if name not in _SIMPLE:
        raise ValueError(f"unknown defect {name!r}; known: {', '.join(REASONS)}")
    return _SIMPLE[name](frames, rng)


def near_copy(frames: Frames, rng: np.random.Generator) -> Frames:
    """The same shot as another site would show it: cropped by 2 to 6 %, a little brighter or darker, recoded.

    The crop is anywhere within the picture; brightness moves by 4 to 10 gray levels, contrast by up to 6 %;
    H.264 at crf 23 to 27.
    """
    height, width = frames.shape[1:3]
    share = 1 - rng.uniform(0.02, 0.06)
    h, w = round(height * share), round(width * share)
    top, left = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
    shift = rng.uniform(4, 10) * rng.choice([-1, 1])
    gain = rng.uniform(0.94, 1.06)
    cut = frames[:, top : top + h, left : left + w]
    sized = np.stack([cv2.resize(f, (width, height), interpolation=cv2.INTER_CUBIC) for f in cut])
    return recode(_to_bytes((sized.astype(np.float32) - 128) * gain + 128 + shift), int(rng.integers(23, 28)))


def _blur(frames: Frames, rng: np.random.Generator) -> Frames:
    sigma = _side(frames) * rng.uniform(0.018, 0.028)
    if rng.random() < 0.5:
        return np.stack([cv2.GaussianBlur(f, (0, 0), sigma) for f in frames]).astype(np.uint8)
    # a disc, as a lens out of focus gives, has the spread of a Gaussian of half its radius
    radius = 2 * sigma
    reach = int(np.ceil(radius))
    ys, xs = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = np.clip(radius + 0.5 - np.hypot(xs, ys), 0, 1).astype(np.float32)
    disc /= disc.sum()
    return np.stack([cv2.filter2D(f, -1, disc) for f in frames]).astype(np.uint8)


def _noise(frames: Frames, rng: np.random.Generator) -> Frames:
    sigma = rng.uniform(24, 40)
    return _to_bytes(frames + rng.normal(0, sigma, frames.shape).astype(np.float32))


def _compression(frames: Frames, rng: np.random.Generator) -> Frames:
    return recode(frames, int(rng.integers(45, 50)))


def _static(frames: Frames, rng: np.random.Generator) -> Frames:
    return np.repeat(frames[int(rng.integers(len(frames)))][None], len(frames), 0)


def _freeze(frames: Frames, rng: np.random.Generator, fps: float) -> Frames:
    count = len(frames)
    frozen = min(count - 1, max(round(count * rng.uniform(0.52, 0.65)), round(fps)))
    # It moves before and after, clearly: a still is another defect.
    first = round((count - frozen) * rng.uniform(0.4, 0.6))
    index = np.arange(count)
    shown = np.where(index < first, index, np.maximum(first, index - frozen))
    return np.asarray(frames[shown], np.uint8)


def _flicker(frames: Frames, rng: np.random.Generator) -> Frames:
    spread = rng.uniform(0.10, 0.18)
    # alternating signs: no two neighbors happen to be alike
    sizes = np.abs(rng.normal(1, 0.3, len(frames))) * np.where(np.arange(len(frames)) % 2, 1, -1)
    gains = np.exp(spread * sizes / sizes.std()).astype(np.float32)
    return _to_bytes(frames * gains[:, None, None, None])


def _zoom(frames: Frames, rng: np.random.Generator, fps: float, size: tuple[int, int]) -> Frames:
    count, height, width = frames.shape[:3]
    rate = rng.uniform(0.12, 0.20)
    growth = np.exp(rate * np.arange(count) / fps)
    if rng.random() < 0.5:
        growth = growth[::-1]
    out = []
    for frame, factor in zip(frames, growth, strict=True):
        scale = np.array([size[0] / width, size[1] / height]) * factor
        shift = np.array(size) / 2 - scale * np.array([width, height]) / 2 + (scale - 1) / 2
        matrix = np.array([[scale[0], 0, shift[0]], [0, scale[1], shift[1]]])
        soft = cv2.GaussianBlur(frame, (0, 0), 0.5 / scale[0]) if scale[0] < 0.9 else frame
        out.append(cv2.warpAffine(soft, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT))
    return np.stack(out).astype(np.uint8)


def _text(frames: Frames, rng: np.random.Generator) -> Frames:
    height, width = frames.shape[1:3]
    lines = [str(w) for w in rng.choice(_WORDS, size=int(rng.integers(1, 3)), replace=False)]
    if rng.random() < 0.5:
        lines = [line.upper() for line in lines]
    font = _fitting_font(lines, width * rng.uniform(0.82, 0.95), _side(frames) * 0.15)
    boxes = [font.getbbox(line) for line in lines]
    line_height = 1.15 * max(box[3] for box in boxes)
    block = line_height * len(lines)
    top = {"bottom": height - block - 0.04 * height, "top": 0.03 * height, "middle": (height - block) / 2}[
        str(rng.choice(["bottom", "top", "middle"]))
    ]
    overlay = Image.new("RGBA", (width, height), (0, 0, 0, 0))
    draw = ImageDraw.Draw(overlay)
    boxed = rng.random() < 0.5
    if boxed:
        draw.rectangle([0, top - 2, width, top + block + 2], fill=(15, 15, 20, 215))
    for number, (line, box) in enumerate(zip(lines, boxes, strict=True)):
        place = ((width - box[2]) / 2, top + number * line_height)
        draw.text(
            place,
            line,
            font=font,
            fill=(255, 255, 255, 255),
            stroke_width=0 if boxed else 1,
            stroke_fill="black",
        )
    layer = np.asarray(overlay, np.float32)
    alpha = layer[..., 3:] / 255
    return _to_bytes(frames * (1 - alpha) + layer[..., :3] * alpha)


def _fitting_font(lines: list[str], width: float, most: float) -> ImageFont.FreeTypeFont:
    """The default font at the largest size in pixels, at most ``most``, at which all lines fit ``width``."""
    size = max(_LEAST_TEXT, round(most))
    while True:
        font = ImageFont.load_default(size)
        if not isinstance(font, ImageFont.FreeTypeFont):
            raise RuntimeError("Pillow has no FreeType here: install a Pillow wheel that has")
        if size == _LEAST_TEXT or all(font.getlength(line) <= width for line in lines):
            return font
        size -= 1


def _side(frames: Frames) -> int:
    return int(min(frames.shape[1:3]))


def _to_bytes(values: NDArray[Any]) -> Frames:
    return np.clip(values + 0.5, 0, 255).astype(np.uint8)


_SIMPLE: dict[str, Callable[[Frames, np.random.Generator], Frames]] = {
    "blur": _blur,
    "noise": _noise,
    "compression": _compression,
    "static": _static,
    "flicker": _flicker,
    "text": _text,
}
