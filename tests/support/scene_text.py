"""Text of the scene: signs, vehicles and clothes, painted on boards that move as things before a camera do."""

from collections.abc import Callable, Iterator

import cv2
import numpy as np
from drawn_text import font
from PIL import Image, ImageDraw

Picture = np.ndarray
RATE = 24


def board(words: list[str], rng: np.random.Generator, height: int = 160, rough: float = 5.0) -> Picture:
    """A painted board: lines of text on a ground with wear and shade, RGB."""
    letters = font(
        height / len(words) * 0.62, str(rng.choice(["DejaVuSans-Bold.ttf", "DejaVuSerif-Bold.ttf"]))
    )
    width = round(max(letters.getlength(word) for word in words)) + 60
    light = rng.random() < 0.5
    ground, ink = (tuple(int(v) for v in rng.uniform(*span, 3)) for span in ((170, 240), (10, 90)))
    if not light:
        ground, ink = ink, ground
    image = Image.new("RGB", (width, height), ground)
    pen = ImageDraw.Draw(image)
    for number, word in enumerate(words):
        pen.text((30, 8 + number * (height - 16) / len(words)), word, font=letters, fill=ink)
    pen.rectangle([4, 4, width - 5, height - 5], outline=ink, width=3)
    rgb = np.asarray(image, np.float32)
    shade = 0.75 + 0.4 * cv2.resize(
        rng.random((3, 5)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC
    )
    wear = cv2.GaussianBlur(rng.normal(0, 1, (height, width)).astype(np.float32), (0, 0), 1.5)
    return np.clip(rgb * shade[..., None] + rough * 3 * wear[..., None], 0, 255)


SIGNS = (["BAKERY"], ["NORTH GATE", "PARKING 200 m"], ["Hotel Miramar"], ["NO ENTRY"], ["PIZZA & PASTA"],
         ["CITY LIBRARY"], ["MAIN STREET"], ["Books & Tea"])  # fmt: skip


def _place(
    frame: Picture, sign: Picture, corners: np.ndarray, blur: float, rng: np.random.Generator
) -> Picture:
    """``frame`` with ``sign`` where its four ``corners`` (x, y) lie, as soft as a camera sees it, with noise."""
    height, width = sign.shape[:2]
    flat = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    matrix = cv2.getPerspectiveTransform(flat, corners.astype(np.float32))
    size = frame.shape[1::-1]
    seen = cv2.warpPerspective(sign.astype(np.float32), matrix, size, flags=cv2.INTER_AREA)
    mask = cv2.warpPerspective(np.ones((height, width), np.float32), matrix, size, flags=cv2.INTER_LINEAR)
    seen, mask = cv2.GaussianBlur(seen, (0, 0), blur), cv2.GaussianBlur(mask, (0, 0), blur)[..., None]
    noisy = seen + rng.normal(0, 2, seen.shape) * mask
    return np.clip(frame * (1 - mask) + noisy, 0, 255).round().astype(np.uint8)


def _corners(sign: Picture, x: float, y: float, width: float, slant: float) -> np.ndarray:
    height = width * sign.shape[0] / sign.shape[1]
    lower = height * (1 - slant)
    return np.array(
        [
            (x, y),
            (x + width, y + (height - lower) / 2),
            (x + width, y + (height + lower) / 2),
            (x, y + height),
        ]
    )


def _path(rng: np.random.Generator, count: int, side: float) -> np.ndarray:
    """Where a hand holds a camera: a pan of 8 to 30 % of the side a second, a growth, a turn, and shake; (count, 4)."""
    t = np.arange(count) / RATE
    angle = rng.uniform(0, 2 * np.pi)
    speed = side * rng.uniform(0.08, 0.3)
    shake = [sum(rng.normal(0, a) * np.sin(2 * np.pi * f * t + rng.uniform(0, 6.3)) for f, a in ((0.7, 3), (2.1, 1.2)))
             for _ in range(2)]  # fmt: skip
    return np.stack(
        [
            np.cos(angle) * speed * t + shake[0],
            0.4 * np.sin(angle) * speed * t + shake[1],
            np.exp(rng.uniform(-0.1, 0.1) * t),
            rng.uniform(-0.03, 0.03) * t,
        ],
        1,
    )


def filmed(still: Picture, seed: int, count: int = 60) -> Iterator[Picture]:
    """A still picture under a camera that is moved by hand."""
    rng = np.random.default_rng(1000 + seed)
    height, width = still.shape[:2]
    for dx, dy, growth, turn in _path(rng, count, min(width, height)):
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), np.degrees(turn), 1.3 * growth)
        matrix[:, 2] += (dx, dy)
        moved = cv2.warpAffine(
            still, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
        )
        yield np.clip(moved + rng.normal(0, 2, moved.shape), 0, 255).round().astype(np.uint8)


def sign_under_camera(frames: list[Picture], seed: int) -> Iterator[Picture]:
    """A sign on a wall, a camera that pans over both."""
    rng = np.random.default_rng(seed)
    still = frames[0]
    height, width = still.shape[:2]
    sign = board(SIGNS[seed % len(SIGNS)], rng)
    wide = width * rng.uniform(0.3, 0.5)
    place = _corners(sign, width * 0.3, height * rng.uniform(0.25, 0.5), wide, rng.uniform(0, 0.3))
    yield from filmed(_place(still, sign, place, 0.8, rng), seed)


def sign_near_camera(frames: list[Picture], seed: int) -> Iterator[Picture]:
    """A sign that stands nearer than what is behind it, so that it passes faster."""
    rng = np.random.default_rng(seed)
    sign = board(SIGNS[(seed + 3) % len(SIGNS)], rng)
    height, width = frames[0].shape[:2]
    path = _path(rng, len(frames), width)
    back = list(filmed(frames[0], seed, len(frames)))
    for (dx, dy, growth, _), frame in zip(path, back, strict=True):
        place = _corners(sign, width * 0.3 + 1.6 * dx, height * 0.35 + 1.6 * dy, width * 0.4 * growth, 0.1)
        yield _place(frame, sign, place, 0.8, rng)


def bus(frames: list[Picture], seed: int) -> Iterator[Picture]:
    """A vehicle with words on its side that drives through."""
    rng = np.random.default_rng(seed)
    height, width = frames[0].shape[:2]
    words = board([str(rng.choice(["CITY TOURS", "FRESH MILK", "Line 42 Harbour"]))], rng, 100)
    side = np.full((words.shape[0] * 2, words.shape[1] + 120, 3), 0, np.float32)
    side[:] = rng.uniform(60, 200, 3)
    side += 20 * cv2.GaussianBlur(rng.normal(0, 1, side.shape[:2]), (0, 0), 3)[..., None]
    for x in range(20, side.shape[1] - 60, 80):
        side[10:70, x : x + 60] = rng.uniform(10, 60, 3)
    side[90 : 90 + words.shape[0], 60 : 60 + words.shape[1]] = words
    start, speed = rng.uniform(-0.3, 0.0), rng.uniform(0.2, 0.5)
    for number, frame in enumerate(frames):
        x = width * (start + speed * number / len(frames) * 2)
        bounce = 1.2 * np.sin(number / 3)
        yield _place(frame, side, _corners(side, x, height * 0.4 + bounce, width * 0.6, 0.06), 1.0, rng)


def shirt(frames: list[Picture], seed: int) -> Iterator[Picture]:
    """Words on the clothes of somebody who walks and turns."""
    rng = np.random.default_rng(seed)
    height, width = frames[0].shape[:2]
    cloth = np.full((360, 300, 3), rng.uniform(40, 210, 3), np.float32)
    cloth += 25 * cv2.GaussianBlur(rng.normal(0, 1, cloth.shape[:2]), (0, 0), 12)[..., None] * 12
    words = board([str(rng.choice(["SPORT", "WOLVES 87", "CREW"]))], rng, 90)
    words = cv2.resize(words, (220, 80))
    cloth[90:170, 40:260] = words
    start, speed, turn = rng.uniform(0.1, 0.4), rng.uniform(-0.12, 0.12), rng.uniform(0, 6.3)
    for number, frame in enumerate(frames):
        t = number / RATE
        x = width * (start + speed * t) + 6 * np.sin(2.2 * t + turn)
        y = height * 0.3 + 5 * abs(np.sin(5 * t))
        narrow = 0.85 + 0.15 * np.cos(1.3 * t + turn)
        place = _corners(cloth, x, y, width * 0.28 * narrow, 0.08 * np.sin(1.3 * t + turn))
        yield _place(frame, cloth, place, 1.0, rng)


def sign_in_footage(frames: list[Picture], seed: int) -> Iterator[Picture]:
    """A sign fixed to the scene of real footage, moved as its points of interest move."""
    rng = np.random.default_rng(seed)
    sign = board(SIGNS[(seed + 5) % len(SIGNS)], rng)
    height, width = frames[0].shape[:2]
    place = _corners(sign, width * 0.3, height * 0.4, width * rng.uniform(0.25, 0.4), rng.uniform(0, 0.25))
    before = cv2.cvtColor(frames[0], cv2.COLOR_RGB2GRAY)
    for frame in frames:
        gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        points = cv2.goodFeaturesToTrack(before, 300, 0.01, 8)
        if points is not None and len(points) > 8:
            moved, there, _ = cv2.calcOpticalFlowPyrLK(before, gray, points, None)
            kept = there.ravel() > 0
            matrix, _ = cv2.estimateAffinePartial2D(points[kept], moved[kept])
            if matrix is not None:
                place = place @ matrix[:, :2].T + matrix[:, 2]
        before = gray
        yield _place(frame, sign, place, 1.0, rng)


SCENES: dict[str, Callable] = {
    "sign_under_camera": sign_under_camera,
    "sign_near_camera": sign_near_camera,
    "bus": bus,
    "shirt": shirt,
    "sign_in_footage": sign_in_footage,
}
