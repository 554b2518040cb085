"""Scenes of the shapes world: what is in them, their captions, and how they are drawn.

A scene is one or two saturated shapes that share one motion, before a still texture of low saturation.
Coordinates are in units of the frame's shorter side, with the origin in the center and y pointing down;
everything that matters stays within the central square, so a square crop loses nothing.
"""

import math
import re
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

SIZE, FRAMES, FPS = 64, 16, 8
SECONDS = (2.0, 3.6)  # of the scenes whose first frames are a clip

SHAPES = ("circle", "square", "triangle", "star", "cross", "heart")
COLORS = {
    "red": (225, 30, 35),
    "yellow": (235, 215, 30),
    "green": (40, 190, 50),
    "cyan": (35, 205, 215),
    "blue": (45, 70, 230),
    "magenta": (215, 45, 205),
}
DIRECTIONS = {
    "moving left": (-1.0, 0.0),
    "moving right": (1.0, 0.0),
    "moving up": (0.0, -1.0),
    "moving down": (0.0, 1.0),
}
MOTIONS = (*DIRECTIONS, "growing", "turning")
BACKGROUNDS = ("striped", "checkered", "dotted", "brick")
RELATIONS = {"left of": (-1.0, 0.0), "right of": (1.0, 0.0), "above": (0.0, -1.0), "below": (0.0, 1.0)}

_MARGIN = 0.47  # objects stay within [-margin, margin] of the central square
_TURN_RATE = math.radians(30.0)  # a second, clockwise


@dataclass(frozen=True)
class SceneObject:
    """One shape: its center and radius at time 0, in units of the shorter side."""

    shape: str
    color: str
    x: float
    y: float
    radius: float
    rgb: tuple[int, int, int]


@dataclass(frozen=True)
class Texture:
    """A still background: kind, period and phase in units of the shorter side, two tones, and a direction."""

    kind: str
    period: float
    phase: tuple[float, float]
    dark: tuple[int, int, int]
    light: tuple[int, int, int]
    horizontal: bool = False


@dataclass(frozen=True)
class Scene:
    """One shot. ``relation`` is the first object's place relative to the second's, None with one object.

    ``speed`` is in units a second for the four directions, and the exponential rate a second for growing.
    """

    objects: tuple[SceneObject, ...]
    motion: str
    texture: Texture
    relation: str | None
    speed: float
    duration: float

    @property
    def background(self) -> str:
        return self.texture.kind


@dataclass(frozen=True)
class Attributes:
    """What a caption states. ``objects`` are (color, shape) pairs in caption order."""

    objects: tuple[tuple[str, str], ...]
    motion: str
    background: str
    relation: str | None = field(default=None)


def sample_texture(rng: np.random.Generator, kind: str | None = None) -> Texture:
    kind = kind or str(rng.choice(BACKGROUNDS))
    period = float(rng.choice([0.16, 0.19, 0.22]))
    base = rng.uniform(60, 110)
    contrast = rng.uniform(45, 70)
    tint = rng.uniform(-9, 9, 3)
    dark, light = (np.clip(v + tint, 0, 255).astype(int).tolist() for v in (base, base + contrast))
    phase = (float(rng.uniform(0, 1)), float(rng.uniform(0, 1)))
    return Texture(kind, period, phase, tuple(dark), tuple(light), bool(rng.integers(2)))


def sample_scene(
    rng: np.random.Generator,
    objects: int | None = None,
    *,
    duration: float = FRAMES / FPS,
    motion: str | None = None,
) -> Scene:
    """Draw a scene of ``duration`` seconds (2 to 4); one or two objects, evenly, where ``objects`` is None."""
    count = objects or int(rng.integers(1, 3))
    if count not in (1, 2):
        raise ValueError(f"a scene has one or two objects, not {count}")
    motion = motion or str(rng.choice(MOTIONS))
    # A circle's turning cannot be seen, so it must not be claimed.
    shapes = [s for s in SHAPES if motion != "turning" or s != "circle"]
    names = [str(rng.choice(shapes)) for _ in range(count)]
    colors = [str(c) for c in rng.choice(list(COLORS), size=count, replace=False)]
    relation = str(rng.choice(list(RELATIONS))) if count == 2 else None

    growth = 1.0
    speed = 0.0
    if motion == "growing":
        growth = float(rng.uniform(1.8, 2.1))
        speed = math.log(growth) / duration
    largest = float(rng.uniform(0.20, 0.25) if count == 1 else rng.uniform(0.145, 0.165))
    if motion == "growing":
        largest *= 1.1
    radius = largest / growth
    offsets = [(0.0, 0.0)]
    if relation:
        gap = 2 * largest + float(rng.uniform(0.04, 0.08))
        dx, dy = RELATIONS[relation]
        offsets = [(dx * gap / 2, dy * gap / 2), (-dx * gap / 2, -dy * gap / 2)]
    reach = [largest + max(abs(o[axis]) for o in offsets) for axis in (0, 1)]
    room = [_MARGIN - r for r in reach]
    center = [float(rng.uniform(-r, r)) for r in room]
    if motion in DIRECTIONS:
        axis = 0 if DIRECTIONS[motion][0] else 1
        sign = sum(DIRECTIONS[motion])
        travel = min(2 * room[axis], float(rng.uniform(0.16, 0.24)) * duration)
        speed = travel / duration
        slack = 2 * room[axis] - travel
        start = -room[axis] + float(rng.uniform(0, 1)) * slack
        center[axis] = start if sign > 0 else -start
    scene_objects = tuple(
        SceneObject(name, color, center[0] + ox, center[1] + oy, radius, _jitter(rng, COLORS[color]))
        for name, color, (ox, oy) in zip(names, colors, offsets, strict=True)
    )
    return Scene(scene_objects, motion, sample_texture(rng), relation, speed, duration)


def caption(scene: Scene) -> str:
    """The true caption, in the one grammar of this world."""
    pairs = tuple((o.color, o.shape) for o in scene.objects)
    return format_caption(Attributes(pairs, scene.motion, scene.background, scene.relation))


def format_caption(a: Attributes) -> str:
    first = f"a {a.objects[0][0]} {a.objects[0][1]}"
    if len(a.objects) == 1:
        return f"{first} {a.motion} on a {a.background} background"
    second = f"a {a.objects[1][0]} {a.objects[1][1]}"
    return f"{first} {a.relation} {second}, both {a.motion}, on a {a.background} background"


_OBJECT = rf"a ({'|'.join(COLORS)}) ({'|'.join(SHAPES)})"
_PATTERN = re.compile(
    rf"{_OBJECT}(?: ({'|'.join(RELATIONS)}) {_OBJECT},? both)? ({'|'.join(MOTIONS)}),? "
    rf"on a ({'|'.join(BACKGROUNDS)}) background"
)


def parse_caption(text: str) -> Attributes | None:
    """The attributes that a caption in this world's grammar states, or None for any other text."""
    match = _PATTERN.fullmatch(" ".join(text.lower().strip().rstrip(".").split()))
    if not match:
        return None
    color, shape, relation, color2, shape2, motion, background = match.groups()
    objects = ((color, shape),) if relation is None else ((color, shape), (color2, shape2))
    return Attributes(objects, motion, background, relation)


def render(
    scene: Scene, times: NDArray[np.float64], width: int = SIZE, height: int = SIZE
) -> NDArray[np.uint8]:
    """Draw the scene at ``times`` (T,), seconds from its start. Returns uint8 RGB frames (T, height, width, 3)."""
    back = draw_texture(scene.texture, width, height)
    unit = min(width, height)
    frames = np.empty((len(times), height, width, 3), np.uint8)
    for index, time in enumerate(times):
        canvas = back.copy()
        for scene_object in scene.objects:
            _draw(canvas, _at(scene_object, scene, float(time)), _angle(scene, float(time)), unit)
        frames[index] = np.clip(canvas + 0.5, 0, 255).astype(np.uint8)
    return frames


def draw_clip(rng: np.random.Generator) -> tuple[NDArray[np.uint8], str]:
    """Frames (FRAMES, SIZE, SIZE, 3) of a random scene from its start, and its caption.

    As in footage, whose shots begin with their scenes: a frame's place in the clip tells how far a thing has turned.
    """
    scene = sample_scene(rng, duration=float(rng.uniform(*SECONDS)))
    return render_clip(scene), caption(scene)


def render_clip(scene: Scene, size: int = SIZE, frames: int = FRAMES, fps: float = FPS) -> NDArray[np.uint8]:
    """The first ``frames`` frames at ``fps``, (T, size, size, 3) uint8."""
    return render(scene, np.arange(frames) / fps, size, size)


def draw_texture(texture: Texture, width: int, height: int) -> NDArray[np.float32]:
    """The background alone, float32 RGB (height, width, 3) in 0..255, drawn at twice the size and averaged."""
    unit, scale = min(width, height), 2
    xs = (np.arange(width * scale) + 0.5) / scale / unit - width / unit / 2
    ys = (np.arange(height * scale) + 0.5) / scale / unit - height / unit / 2
    u = (xs / texture.period + texture.phase[0])[None, :]
    v = (ys / texture.period + texture.phase[1])[:, None]
    if texture.horizontal and texture.kind == "striped":
        u, v = v, u
    full = np.zeros((height * scale, width * scale), bool)
    if texture.kind == "striped":
        light = ((u % 1.0) < 0.5) | full
    elif texture.kind == "checkered":
        light = ((np.floor(u) + np.floor(v)) % 2 == 0) | full
    elif texture.kind == "dotted":
        light = ((u % 1.0 - 0.5) ** 2 + (v % 1.0 - 0.5) ** 2 < 0.3**2) | full
    elif texture.kind == "brick":
        row = np.floor(v)
        light = ((v % 1.0) < 0.16) | (((u / 2 + 0.5 * (row % 2)) % 1.0) < 0.08)
    else:
        raise ValueError(f"unknown background {texture.kind!r}; known: {', '.join(BACKGROUNDS)}")
    tones = np.asarray([texture.dark, texture.light], np.float32)
    image = tones[light.astype(np.intp)]
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.float32)


def outline(shape: str, points: int = 96) -> NDArray[np.float64]:
    """The closed outline of a shape of radius 1 around its center, (N, 2) as (x, y), y down."""
    if shape == "circle":
        t = np.linspace(0, 2 * np.pi, points, endpoint=False)
        return np.stack([np.cos(t), np.sin(t)], 1) * 0.9
    if shape == "square":
        return np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * 0.8
    if shape == "triangle":
        t = -np.pi / 2 + np.arange(3) * 2 * np.pi / 3
        return np.stack([np.cos(t), np.sin(t)], 1) * 1.1
    if shape == "star":
        t = -np.pi / 2 + np.arange(10) * np.pi / 5
        r = np.where(np.arange(10) % 2 == 0, 1.1, 0.44)
        return np.stack([np.cos(t), np.sin(t)], 1) * r[:, None]
    if shape == "cross":
        a, b = 1.0, 0.34
        return np.array(
            [
                [-b, -a],
                [b, -a],
                [b, -b],
                [a, -b],
                [a, b],
                [b, b],
                [b, a],
                [-b, a],
                [-b, b],
                [-a, b],
                [-a, -b],
                [-b, -b],
            ]
        )
    if shape == "heart":
        t = np.linspace(0, 2 * np.pi, points, endpoint=False)
        x = 16 * np.sin(t) ** 3
        y = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))
        return np.stack([x, y - 1.5], 1) / 16.0
    raise ValueError(f"unknown shape {shape!r}; known: {', '.join(SHAPES)}")


def _jitter(rng: np.random.Generator, rgb: tuple[int, int, int]) -> tuple[int, int, int]:
    values = np.clip(np.asarray(rgb) + rng.integers(-12, 13, 3), 0, 255)
    return int(values[0]), int(values[1]), int(values[2])


def _at(scene_object: SceneObject, scene: Scene, time: float) -> SceneObject:
    if scene.motion == "growing":
        return replace(scene_object, radius=scene_object.radius * math.exp(scene.speed * time))
    dx, dy = DIRECTIONS.get(scene.motion, (0.0, 0.0))
    return replace(
        scene_object, x=scene_object.x + dx * scene.speed * time, y=scene_object.y + dy * scene.speed * time
    )


def _angle(scene: Scene, time: float) -> float:
    return _TURN_RATE * time if scene.motion == "turning" else 0.0


def _draw(canvas: NDArray[np.float32], scene_object: SceneObject, angle: float, unit: int) -> None:
    """Blend one shape into ``canvas``, its edge averaged over 4 x 4 samples a pixel."""
    height, width = canvas.shape[:2]
    cos, sin = math.cos(angle), math.sin(angle)
    rotation = np.array([[cos, sin], [-sin, cos]])
    polygon = outline(scene_object.shape) @ rotation * scene_object.radius + (scene_object.x, scene_object.y)
    polygon = polygon * unit + (width / 2, height / 2)
    low = np.maximum(np.floor(polygon.min(0)).astype(int) - 1, 0)
    high = np.minimum(np.ceil(polygon.max(0)).astype(int) + 1, (width, height))
    if (high <= low).any():
        return
    scale, shift = 4, 4
    box = high - low
    mask = np.zeros((int(box[1]) * scale, int(box[0]) * scale), np.uint8)
    # fillPoly takes pixel centers at whole numbers, hence the half pixel.
    fixed = np.round(((polygon - low) * scale - 0.5) * (1 << shift)).astype(np.int32)
    cv2.fillPoly(mask, [fixed], 255, lineType=cv2.LINE_8, shift=shift)
    alpha = cv2.resize(mask, (int(box[0]), int(box[1])), interpolation=cv2.INTER_AREA).astype(np.float32)
    alpha = (alpha / 255.0)[..., None]
    view = canvas[low[1] : high[1], low[0] : high[0]]
    view += alpha * (np.asarray(scene_object.rgb, np.float32) - view)
