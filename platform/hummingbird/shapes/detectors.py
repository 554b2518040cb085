"""The judge's detectors: colored blobs, their shapes by template, and the texture behind them. No model.

All work on 64 x 64 frames. Templates come from the outlines and textures of ``hummingbird.shapes.scene``,
blurred by several amounts, so that the softness of video compression or of a small autoencoder costs little.
"""

import math
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from hummingbird.shapes.scene import BACKGROUNDS, COLORS, SHAPES, SIZE, Texture, draw_texture, outline

_LEAST_CHROMA = 55.0  # textures stay below 25, objects start at 125; halfway with a clip's losses
_LEAST_PRESENCE = 0.6  # of the frames
_LEAST_AREA, _LARGEST_AREA = 16.0, 0.35 * SIZE * SIZE  # pixels, in the mean over the frames that show it
_LEAST_COMPACT = 0.35  # area over that of a disc of the same spread: star 0.75, scattered specks near 0
_MOST_COLOR = 0.4  # of all pixels: a clip with more has no gray texture for objects to stand before
_MOST_STRAY_COLOR = 0.1  # of all pixels: colored, but part of no object
_MOST_PARTS = 40  # of one color in one frame: more is noise, and would take long to follow
_MOST_EDGE_COLOR = 0.35  # of the pixels around an object
_HUE_TOLERANCE = math.radians(22.0)  # from the color's own hue; the nearest two are 49 degrees apart

_LEAST_SHARE = 0.15  # of the object's color: fainter pixels are left out of its mask
_RADII, _ANGLES, _REACH = 16, 72, 2.0  # polar grid: up to _REACH times the radius of the disc of equal area
_BLURS = (0.06, 0.14, 0.22, 0.32, 0.45)  # of that radius
_LEAST_FIT, _LEAST_MARGIN = 0.97, 0.001
_LEAST_TURN_GAIN = 0.003  # cosine similarity that rotation must win over standing still

_TEXTURE_SIDE = 32
_TEXTURE_BLUR = 0.9  # pixels, of both: thin mortar is the first thing that softness takes
_LEAST_CORRELATION, _LEAST_LEAD = 0.5, 0.03


@dataclass(frozen=True)
class Blob:
    """A colored thing followed through the clip.

    ``masks`` (T, 64, 64) are soft, in 0..1; ``centers`` (T, 2) are (x, y) in pixels, NaN where it is unseen;
    ``areas`` (T,) are in pixels, 0 there.
    """

    color: str | None
    masks: NDArray[np.float32]
    centers: NDArray[np.float64]
    areas: NDArray[np.float64]


@dataclass(frozen=True)
class ShapeFit:
    """The best shape (None if unclear), its similarity and lead, angles (T,) and full rotation, radians."""

    shape: str | None
    fit: float
    margin: float
    angles: NDArray[np.float64]
    rotation: float


@cache
def _hues() -> NDArray[np.float64]:
    return np.array([_hue(np.asarray(rgb, np.float64)) for rgb in COLORS.values()])


def _hue(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """The hue angle in the plane across the gray axis, radians. Linear mixes with gray keep it."""
    r, g, b = np.moveaxis(rgb, -1, 0)
    return np.asarray(np.arctan2(math.sqrt(3) * (g - b), 2 * r - g - b))


def find_blobs(frames: NDArray[np.uint8]) -> tuple[list[Blob], tuple[NDArray[np.float32], NDArray[np.bool_]]]:
    """The colored things in ``frames`` (T, 64, 64, 3), and the still background.

    The background is luma (64, 64), the median over the frames that show it, and the mask of where any does.
    """
    soft = np.stack([cv2.GaussianBlur(f, (3, 3), 0.8) for f in frames]).astype(np.float32)
    red, green, blue = np.moveaxis(soft, -1, 0)
    chroma = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    strong = chroma > _LEAST_CHROMA
    if strong.mean() > _MOST_COLOR:
        return [], (np.zeros((SIZE, SIZE), np.float32), np.zeros((SIZE, SIZE), bool))
    hue = _hue(soft[strong].astype(np.float64))
    nearest = np.abs((hue[:, None] - _hues() + np.pi) % (2 * np.pi) - np.pi).argmin(1)
    labels = np.full(strong.shape, -1, np.int8)
    labels[strong] = nearest
    regions = [r for color in np.unique(nearest) for r in _regions(labels == color)]
    colored = frames.astype(np.float32)
    luma = colored @ np.array([0.299, 0.587, 0.114], np.float32)
    colored -= (colored @ np.full(3, 1 / 3, np.float32))[..., None]
    covered = _grow(strong, 7)
    free = colored[~covered]
    ground = np.median(free, 0) if len(free) else np.zeros(3, np.float32)
    blobs = []
    for index, region in enumerate(regions):
        others = [r for i, r in enumerate(regions) if i != index]
        ring = _grow(region, 9) & ~_grow(region, 5)
        if strong[ring].mean() > _MOST_EDGE_COLOR:
            continue
        blob = _measure(region, others, colored - ground)
        if blob is not None:
            blobs.append(blob)
    inside = np.zeros_like(strong)
    for blob in blobs:
        inside |= blob.masks > 0
    if (strong & ~inside).mean() > _MOST_STRAY_COLOR:
        blobs = []
    # the median over the frames that show a pixel: covered ones sort last
    times = len(frames) - covered.sum(0)
    ordered = np.sort(np.where(covered, np.float32(np.inf), luma), 0)
    middle = np.take_along_axis(ordered, np.maximum(times - 1, 0)[None] // 2, 0)[0]
    return blobs, (np.where(times > 0, middle, 0).astype(np.float32), times > 0)


def _regions(mask: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """The things of one color in ``mask`` (T, 64, 64): what hangs together in a frame and overlaps in time.

    A thing may be lost for up to three frames. Specks, and what is seen too briefly, are left out.
    """
    regions: list[NDArray[np.bool_]] = []
    for t, frame in enumerate(mask.astype(np.uint8)):
        count, parts, stats, _ = cv2.connectedComponentsWithStats(frame, connectivity=8)
        if count > _MOST_PARTS:
            return []
        for part in range(1, count):
            if stats[part, cv2.CC_STAT_AREA] < 4:
                continue
            here = np.zeros_like(mask)
            here[t] = parts == part
            near = cv2.dilate(here[t].astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
            others = []
            for region in regions:
                if (region[max(0, t - 4) : t + 1] & near).any():
                    here |= region
                else:
                    others.append(region)
            regions = [*others, here]
    return [region for region in regions if region.any((1, 2)).mean() >= _LEAST_PRESENCE]


def _grow(mask: NDArray[np.bool_], size: int) -> NDArray[np.bool_]:
    kernel = np.ones((size, size), np.uint8)
    return np.stack([cv2.dilate(m, kernel) for m in mask.astype(np.uint8)]).astype(bool)


def _measure(
    region: NDArray[np.bool_], others: list[NDArray[np.bool_]], chroma: NDArray[np.float32]
) -> Blob | None:
    """A blob with soft edges: each pixel's chroma as a share of that of the object's core."""
    around = _grow(region, 7)
    for other in others:
        around &= ~_grow(other, 3)
    strength = np.linalg.norm(chroma, axis=-1)
    core = region & (strength >= np.median(strength[region]))
    color_vector = np.median(chroma[core], 0)
    alpha = np.clip(chroma @ color_vector / float(color_vector @ color_vector), 0, 1)
    alpha = np.where(around & (alpha > _LEAST_SHARE), alpha, 0).astype(np.float32)
    areas = alpha.sum((1, 2)).astype(np.float64)
    areas[areas < 4] = 0
    seen = areas > 0
    if seen.mean() < _LEAST_PRESENCE or not _LEAST_AREA <= areas[seen].mean() <= _LARGEST_AREA:
        return None
    axis = np.arange(SIZE) + 0.5
    with np.errstate(invalid="ignore", divide="ignore"):
        x = (alpha.sum(1) @ axis) / areas
        y = (alpha.sum(2) @ axis) / areas
        spread = (alpha.sum(1) @ axis**2 + alpha.sum(2) @ axis**2) / areas - x**2 - y**2
        compact = areas / (2 * np.pi * spread)
    if np.median(compact[seen]) < _LEAST_COMPACT:
        return None
    centers = np.column_stack([x, y])
    centers[~seen] = np.nan
    off = np.abs((_hue(color_vector.astype(np.float64)) - _hues() + np.pi) % (2 * np.pi) - np.pi)
    name = list(COLORS)[int(off.argmin())] if off.min() <= _HUE_TOLERANCE else None
    return Blob(name, alpha, centers, areas)


def _polar(
    masks: NDArray[np.float32], centers: NDArray[np.float64], radii: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Masks around their centers on a polar grid, (T, radii, angles), angles clockwise as y points down."""
    r = (np.arange(_RADII) + 0.5) / _RADII * _REACH
    t = np.arange(_ANGLES) * 2 * np.pi / _ANGLES
    out = np.empty((len(masks), _RADII, _ANGLES), np.float32)
    for i, (mask, (x, y), radius) in enumerate(zip(masks, centers, radii, strict=True)):
        # remap takes pixel centers at whole numbers
        map_x = (x - 0.5 + radius * r[:, None] * np.cos(t)).astype(np.float32)
        map_y = (y - 0.5 + radius * r[:, None] * np.sin(t)).astype(np.float32)
        out[i] = cv2.remap(mask, map_x, map_y, cv2.INTER_LINEAR, borderValue=0)
    # an equal area of every cell counts the same, and every mask has length 1
    out *= np.sqrt(r)[:, None].astype(np.float32)
    return np.asarray(out / np.maximum(np.linalg.norm(out, axis=(1, 2), keepdims=True), 1e-6), np.float32)


@cache
def _templates() -> NDArray[np.complex64]:
    """Spectra over the angle of all shapes at all blurs, (shapes, blurs, radii, frequencies)."""
    side, unit, scale = 320, 48.0, 16
    polar_masks = []
    for shape in SHAPES:
        mask = np.zeros((side, side), np.uint8)
        points = np.round((outline(shape) * unit + side / 2 - 0.5) * scale).astype(np.int32)
        cv2.fillPoly(mask, [points], 255, shift=4)
        flat = mask.astype(np.float32) / 255
        sharp_radius = math.sqrt(float(flat.sum()) / np.pi)
        axis = np.arange(side) + 0.5
        for blur in _BLURS:
            soft = cv2.GaussianBlur(flat, (0, 0), blur * sharp_radius)
            # as _measure does with the masks of a clip
            core = soft[soft > 0.4]
            soft = np.clip(soft / np.median(core[core >= np.median(core)]), 0, 1)
            soft = np.where(soft > _LEAST_SHARE, soft, 0).astype(np.float32)
            area = float(soft.sum())
            center = np.array([[soft.sum(0) @ axis / area, soft.sum(1) @ axis / area]])
            radius = np.array([math.sqrt(area / np.pi)])
            polar_masks.append(_polar(soft[None].astype(np.float32), center, radius)[0])
    spectra = np.fft.rfft(np.stack(polar_masks).reshape(len(SHAPES), len(_BLURS), _RADII, _ANGLES), axis=-1)
    return spectra.astype(np.complex64)


def fit_shape(blob: Blob) -> ShapeFit:
    """Compare the blob with every shape at every angle and steady rotation, over all frames that show it."""
    seen = np.flatnonzero(blob.areas > 0)
    radii = np.sqrt(blob.areas[seen] / np.pi).astype(np.float64)
    polar = _polar(blob.masks[seen], blob.centers[seen], radii)
    spectra = np.fft.rfft(polar, axis=-1)
    product = np.einsum("trf,sbrf->ftsb", spectra, _templates().conj(), optimize=True)
    # Larger masks show more: weigh frames by the area.
    weights = blob.areas[seen]
    product *= (weights / weights.sum()).astype(np.float32)[:, None, None]
    # Turning steadily is a phase that grows with the frame: undo it at every rate and sum over the frames.
    rates = np.arange(-4, 4.01, 0.25)  # angle cells a frame: up to 20 degrees
    turns = np.arange(_ANGLES // 2 + 1)[:, None, None] * rates[:, None] * seen * (2j * np.pi / _ANGLES)
    summed = np.exp(turns).astype(np.complex64) @ product.reshape(len(product), len(seen), -1)
    scores = np.fft.irfft(summed, _ANGLES, axis=0).astype(np.float32)
    scores = scores.reshape(_ANGLES, len(rates), len(SHAPES), len(_BLURS)).transpose(1, 2, 3, 0)
    per_shape = scores.max((0, 2, 3))
    order = np.argsort(per_shape)[::-1]
    best = int(order[0])
    fit, margin = float(per_shape[best]), float(per_shape[best] - per_shape[order[1]])
    rate_index, _, angle_index = np.unravel_index(scores[:, best].argmax(), scores[:, best].shape)
    gain = float(scores[:, best].max() - scores[len(rates) // 2, best].max())
    angle_step = 2 * np.pi / _ANGLES
    rate = float(rates[rate_index]) if gain >= _LEAST_TURN_GAIN and SHAPES[best] != "circle" else 0.0
    angles = np.asarray((float(angle_index) + rate * np.arange(len(blob.areas))) * angle_step, np.float64)
    clear = fit >= _LEAST_FIT and margin >= _LEAST_MARGIN
    return ShapeFit(SHAPES[best] if clear else None, fit, margin, angles, rate * angle_step * len(blob.areas))


@cache
def _texture_bank() -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
    """Textures of every kind, period, direction and phase: kinds (N,) and images (N, 32 * 32) in 0..1.

    The third array (N,) is an image's variance over a two-tone image's of its mean: averaged edges lower it.
    """
    kinds, images = [], []
    phases = {"striped": (16, 1), "checkered": (16, 8), "dotted": (8, 8), "brick": (20, 12)}
    spans = {"striped": (1, 1), "checkered": (2, 1), "dotted": (1, 1), "brick": (2, 1)}
    for index, kind in enumerate(BACKGROUNDS):
        for period in np.geomspace(0.15, 0.235, 10):
            for horizontal in (False, True) if kind == "striped" else (False,):
                for a in range(phases[kind][0]):
                    for b in range(phases[kind][1]):
                        phase = (a / phases[kind][0] * spans[kind][0], b / phases[kind][1] * spans[kind][1])
                        if horizontal:
                            phase = phase[::-1]
                        texture = Texture(kind, float(period), phase, (0, 0, 0), (1, 1, 1), horizontal)
                        image = draw_texture(texture, _TEXTURE_SIDE, _TEXTURE_SIDE)[..., 0]
                        images.append(cv2.GaussianBlur(image, (0, 0), _TEXTURE_BLUR).ravel())
                        kinds.append(index)
    stack = np.stack(images).astype(np.float32)
    mean = stack.mean(1)
    return np.array(kinds), stack, stack.var(1) / (mean - mean**2)


def fit_background(luma: NDArray[np.float32], shown: NDArray[np.bool_]) -> str | None:
    """The texture that correlates best with ``luma`` (64, 64) where ``shown``, None if none leads clearly."""
    size = (_TEXTURE_SIDE, _TEXTURE_SIDE)
    weight = cv2.resize(shown.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    if weight.mean() < 0.25:
        return None
    value = cv2.resize(luma * shown, size, interpolation=cv2.INTER_AREA)
    value = cv2.GaussianBlur(value, (0, 0), _TEXTURE_BLUR)
    value /= np.maximum(cv2.GaussianBlur(weight, (0, 0), _TEXTURE_BLUR), 1e-3)
    w = np.where(weight >= 0.5, weight, 0).ravel()
    w = w / w.sum()
    x = value.ravel() - float(w @ value.ravel())
    power = float(w @ x**2)
    if power < 4.0:  # two gray levels: nothing to see
        return None
    kinds, bank, softness = _texture_bank()
    inner, mean = (bank @ np.stack([w * x, w], 1).astype(np.float32)).T
    # the variance where the mask looks, as if the softness were the same everywhere
    correlation = inner / np.sqrt(np.maximum(softness * (mean - mean**2), 1e-4) * power)
    per_kind = np.array([correlation[kinds == k].max() for k in range(len(BACKGROUNDS))])
    order = np.argsort(per_kind)[::-1]
    if per_kind[order[0]] < _LEAST_CORRELATION or per_kind[order[0]] - per_kind[order[1]] < _LEAST_LEAD:
        return None
    return BACKGROUNDS[int(order[0])]
