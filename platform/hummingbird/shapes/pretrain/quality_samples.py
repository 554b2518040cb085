"""Labelled clips for pretraining the quality model: sound and defective, as they look out of an H.264 file.

Half and more are scenes of the shapes world; the others are dead leaves, the standard random image with the
statistics of natural ones, so that the model learns what blur, noise and compression are and not what this
world's textures are. Seeds and code are its own: nothing here is shared with the footage that curation is
judged on.
"""

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import av
import cv2
import numpy as np
from hummingbird.shapes.scene import Scene, render, sample_scene
from numpy.typing import NDArray

Frames = NDArray[np.uint8]

DEFECTS = ("blur", "noise", "compression")
"""What the technical score must fall for."""
DISTRACTORS = ("text", "zoom", "flicker", "freeze")
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
    count = int(rate * rng.uniform(1.0, 1.6))
    defect = str(rng.choice(DEFECTS)) if rng.random() < 0.5 else None
    distractor = str(rng.choice(DISTRACTORS)) if rng.random() < 0.3 else None
    composition: float | None = None
    if rng.random() < leaves:
        frames = dead_leaves(rng, count, width, height)
    else:
        scene = sample_scene(rng, duration=float(rng.uniform(2.0, 4.0)))
        start = (
            float(rng.uniform(0.0, scene.duration - count / rate)) if count < scene.duration * rate else 0.0
        )
        times = start + np.arange(count) / rate
        frames = render(scene, np.minimum(times, scene.duration), width, height)
        composition = composition_of(scene, float(times.mean()), distractor == "text")
    if distractor:
        frames = _DISTRACT[distractor](frames, rng)
    if defect:
        frames = _DEGRADE[defect](frames, rng)
    # The file that a clip is found in is itself of ordinary quality: that too must not count as a defect.
    frames = through_h264(frames, float(rng.uniform(15.0, 27.0)))
    return Sample(frames, defect, distractor, composition)


def composition_of(scene: Scene, time: float, text: bool) -> float:
    """How well a scene is composed, 0..1, by a rule that stands in for people's taste in this world.

    The mean of three parts, each 0..1: the objects' size, how near to the centre they stand on the whole, and
    their contrast with the background; overlaid text takes half of it away.
    """
    radius = scene.objects[0].radius * (math.exp(scene.speed * time) if scene.motion == "growing" else 1.0)
    dx, dy = {
        "moving left": (-1, 0),
        "moving right": (1, 0),
        "moving up": (0, -1),
        "moving down": (0, 1),
    }.get(scene.motion, (0, 0))
    x = sum(o.x for o in scene.objects) / len(scene.objects) + dx * scene.speed * time
    y = sum(o.y for o in scene.objects) / len(scene.objects) + dy * scene.speed * time
    back = (np.asarray(scene.texture.dark) + np.asarray(scene.texture.light)) / 2
    contrast = float(np.mean([np.linalg.norm(np.asarray(o.rgb) - back) for o in scene.objects]))
    parts = (radius / 0.2, 1 - math.hypot(x, y) / 0.35, (contrast - 80) / 100)
    return float(np.clip(parts, 0, 1).mean()) * (0.5 if text else 1.0)


def dead_leaves(rng: np.random.Generator, count: int, width: int, height: int) -> Frames:
    """Overlapping textured discs of many sizes under a moving camera, (count, height, width, 3)."""
    step = rng.uniform(-4.0, 4.0, 2) if rng.random() < 0.8 else np.zeros(2)  # half pixels a frame
    margin = np.ceil(np.abs(step) * count).astype(int)
    shape = (2 * height + int(margin[1]), 2 * width + int(margin[0]))
    base = rng.uniform(20, 235, 3)
    canvas = np.empty((*shape, 3), np.float32)
    canvas[:] = base
    spread = rng.uniform(15, 70)
    largest = rng.uniform(0.2, 0.8) * min(shape)
    for _ in range(int(rng.integers(30, 400))):
        # radii r with density ~ r^-3: as many details at every scale
        radius = min(6.0 / math.sqrt(1 - rng.random()), largest)
        centre = (int(rng.uniform(0, shape[1])), int(rng.uniform(0, shape[0])))
        color = np.clip(base + rng.normal(0, spread) + rng.normal(0, spread / 3, 3), 0, 255)
        cv2.circle(canvas, centre, round(radius), tuple(color.tolist()), -1)
    for radius in rng.uniform(0.05, 0.3, int(rng.integers(0, 12))) * min(shape):
        centre = (int(rng.uniform(0, shape[1])), int(rng.uniform(0, shape[0])))
        color = np.clip(base + rng.normal(0, spread, 3), 0, 255)
        cv2.circle(canvas, centre, round(float(radius)), tuple(color.tolist()), -1)
    canvas += _surface(rng, shape) * float(rng.uniform(0, 22))
    canvas += (np.linspace(-1, 1, shape[0])[:, None, None] * rng.uniform(-25, 25)).astype(np.float32)
    softness = float(rng.uniform(0.0, 0.7))  # a lens is never perfectly sharp
    frames = np.empty((count, height, width, 3), np.uint8)
    for index in range(count):
        left, top = (round(float(v)) for v in np.where(step < 0, margin, 0) + step * index)
        window = canvas[top : top + 2 * height, left : left + 2 * width]
        frame = cv2.resize(window, (width, height), interpolation=cv2.INTER_AREA)
        if softness > 0.1:
            frame = cv2.GaussianBlur(frame, (0, 0), softness)
        frames[index] = np.clip(frame, 0, 255).astype(np.uint8)
    return frames


def through_h264(frames: Frames, crf: float) -> Frames:
    """``frames`` encoded at this constant rate factor (0 best, 51 worst) and decoded again."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        # x264's macroblock tree gives other bytes from call to call; without it a seed is a clip.
        options = {"crf": f"{crf:.1f}", "preset": "veryfast", "x264-params": "mbtree=0"}
        stream = container.add_stream("libx264", rate=25, options=options)
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], "yuv420p"
        stream.codec_context.thread_count = 1
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    buffer.seek(0)
    with av.open(buffer, "r") as source:
        return _stack([frame.to_ndarray(format="rgb24") for frame in source.decode(video=0)])


def _stack(frames: Sequence[NDArray[Any]]) -> Frames:
    return np.stack(frames).astype(np.uint8, copy=False)


def _surface(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float32]:
    """A random texture with amplitude ~ 1/f, float32 (H, W, 1) of unit deviation."""
    frequency = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None])
    frequency[0, 0] = np.inf
    spectrum = rng.normal(size=frequency.shape) + 1j * rng.normal(size=frequency.shape)
    field = np.fft.irfft2(spectrum / frequency, shape)
    return np.asarray(field / field.std(), np.float32)[..., None]


def _blur(frames: Frames, rng: np.random.Generator) -> Frames:
    sigma = float(rng.uniform(1.7, 5.0))
    if rng.random() < 0.3:  # out of focus: a disc, of the same deviation
        radius = 2 * sigma
        ys, xs = np.mgrid[
            -math.ceil(radius) : math.ceil(radius) + 1, -math.ceil(radius) : math.ceil(radius) + 1
        ]
        disc = (xs**2 + ys**2 <= radius**2).astype(np.float32)
        return _stack([cv2.filter2D(f, -1, disc / disc.sum()) for f in frames])
    return _stack([cv2.GaussianBlur(f, (0, 0), sigma) for f in frames])


def _noise(frames: Frames, rng: np.random.Generator) -> Frames:
    channels = 1 if rng.random() < 0.3 else 3
    noise = rng.standard_normal((*frames.shape[:3], channels), dtype=np.float32) * float(rng.uniform(15, 50))
    return np.clip(frames + noise, 0, 255).astype(np.uint8)


def _compression(frames: Frames, rng: np.random.Generator) -> Frames:
    if rng.random() < 0.2:  # frame by frame, as cameras with motion JPEG do
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(3, 11))]
        packed = [cv2.imencode(".jpg", frame, quality)[1] for frame in frames]
        return _stack([np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8) for data in packed])
    return through_h264(frames, float(rng.uniform(43.5, 51)))


def _text(frames: Frames, rng: np.random.Generator) -> Frames:
    frames = frames.copy()
    height, width = frames.shape[1:3]
    for _ in range(int(rng.integers(1, 4))):
        words = "".join(chr(c) for c in rng.integers(65, 91, int(rng.integers(4, 16))))
        place = (int(rng.uniform(0, width / 3)), int(rng.uniform(0.1, 1.0) * height))
        color = (255, 255, 255) if rng.random() < 0.7 else tuple(rng.integers(0, 256, 3).tolist())
        scale, bold = height / 256 * float(rng.uniform(0.5, 1.4)), int(rng.integers(1, 3))
        for frame in frames:
            if bold > 1:
                cv2.putText(frame, words, place, cv2.FONT_HERSHEY_SIMPLEX, scale, (0, 0, 0), 4, cv2.LINE_AA)
            cv2.putText(frame, words, place, cv2.FONT_HERSHEY_SIMPLEX, scale, color, bold, cv2.LINE_AA)
    return frames


def _zoom(frames: Frames, rng: np.random.Generator) -> Frames:
    end = float(rng.uniform(1.15, 1.6))
    scales = np.linspace(1.0, end, len(frames))
    size = (frames.shape[2], frames.shape[1])
    centre = (size[0] / 2, size[1] / 2)
    scales = scales[::-1] if rng.random() < 0.5 else scales
    return _stack(
        [
            cv2.warpAffine(f, cv2.getRotationMatrix2D(centre, 0, float(s)), size, flags=cv2.INTER_LINEAR)
            for f, s in zip(frames, scales, strict=True)
        ]
    )


def _flicker(frames: Frames, rng: np.random.Generator) -> Frames:
    gains = 1 + rng.uniform(0.1, 0.5) * rng.uniform(-1, 1, len(frames))
    return np.clip(frames * gains[:, None, None, None], 0, 255).astype(np.uint8)


def _freeze(frames: Frames, rng: np.random.Generator) -> Frames:
    frames = frames.copy()
    start = int(rng.integers(0, len(frames) // 2))
    frames[start:] = frames[start]
    return frames


_Change = Callable[[Frames, np.random.Generator], Frames]
_DEGRADE: dict[str, _Change] = {"blur": _blur, "noise": _noise, "compression": _compression}
_DISTRACT: dict[str, _Change] = {"text": _text, "zoom": _zoom, "flicker": _flicker, "freeze": _freeze}
