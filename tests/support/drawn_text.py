"""Overlaid text as films, television and short videos have it: what is drawn over the pictures of a clip."""

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

Picture = np.ndarray

FONTS = Path("/usr/share/fonts/truetype/dejavu")
"""Debian's DejaVu fonts."""

LINES = {
    "latin": ("I never said she stole it",
              "We have to leave before dawn", "That was the last train home", "Are you coming?"),
    "cyrillic": ("Мы должны уйти до рассвета", "Это был последний поезд", "Ты идёшь со мной?"),
    "greek": ("Πρέπει να φύγουμε τώρα", "Ήταν το τελευταίο τρένο"),
    "arabic": ("يجب أن نغادر قبل الفجر", "كان هذا آخر قطار"),
    "georgian": ("ჩვენ უნდა წავიდეთ", "ეს იყო ბოლო მატარებელი"),
    "chinese": ("我们必须在天亮前离开", "那是最后一班火车", "你要一起来吗"),
}  # fmt: skip


def font(size: float, name: str = "DejaVuSans-Bold.ttf") -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(FONTS / name), max(9, round(size)))


def overlaid(frames: list[Picture], draw: Callable, seed: int) -> Iterator[Picture]:
    """``frames`` with what ``draw`` puts on a layer over them."""
    height, width = frames[0].shape[:2]
    for number, frame in enumerate(frames):
        layer = Image.new("RGBA", (width, height), (0, 0, 0, 0))
        draw(layer, number / len(frames), np.random.default_rng(seed))
        rgba = np.asarray(layer, np.float32)
        alpha = rgba[..., 3:] / 255
        yield (frame * (1 - alpha) + rgba[..., :3] * alpha).round().astype(np.uint8)


def _line(
    layer: Image.Image, text: str, y: float, size: float, fill=(255, 255, 255, 255), plate=None, x: float | None = None,
    stroke: int = 2, face: str = "DejaVuSans-Bold.ttf",
) -> None:  # fmt: skip
    pen, letters = ImageDraw.Draw(layer), font(size, face)
    _, top, right, bottom = pen.textbbox((0, 0), text, font=letters)
    x = (layer.width - right) / 2 if x is None else x
    if plate:
        pen.rectangle([x - 8, y + top - 5, x + right + 8, y + bottom + 5], fill=plate)
    outline = 0 if plate else stroke
    pen.text((x, y), text, font=letters, fill=fill, stroke_width=outline, stroke_fill=(0, 0, 0, fill[3]))


def _chinese(layer: Image.Image, text: str, x: int, y: int, size: int) -> None:
    """OpenCV's own Chinese letters, white with a dark rim."""
    mask = np.zeros((layer.height, layer.width, 3), np.uint8)
    cv2.putText(mask, text, (x, y + size), (255, 255, 255), cv2.FontFace("uni"), size)
    letters = mask[..., 0]
    rim = cv2.dilate(letters, np.ones((5, 5), np.uint8))
    rgba = np.dstack([letters, letters, letters, np.maximum(rim, letters)])
    layer.alpha_composite(Image.fromarray(rgba))


def subtitle(script: str, first: float, last: float, **looks) -> Callable:
    def draw(layer: Image.Image, at: float, rng: np.random.Generator) -> None:
        line = str(rng.choice(LINES[script]))
        size = layer.height * rng.uniform(0.05, 0.075)
        if not first <= at < last:
            return
        if script == "chinese":
            _chinese(layer, line, int(layer.width * 0.28), int(layer.height * 0.84), int(size * 1.1))
        else:
            _line(layer, line, layer.height * 0.84, size, **looks)

    return draw


def two_subtitles(layer: Image.Image, at: float, rng: np.random.Generator) -> None:
    one, two = rng.permutation(LINES["latin"])[:2]
    size = layer.height * rng.uniform(0.05, 0.07)
    if at < 0.45 or at > 0.55:
        _line(layer, one if at < 0.45 else two, layer.height * 0.85, size, face="DejaVuSans.ttf")


def two_plates(layer: Image.Image, at: float, rng: np.random.Generator) -> None:
    one, two = rng.permutation(LINES["latin"])[:2]
    size = layer.height * rng.uniform(0.05, 0.07)
    if 0.05 < at < 0.45 or 0.55 < at < 0.95:
        plate = (250, 230, 40, 255) if rng.random() < 0.5 else (0, 0, 0, 160)
        fill = (20, 20, 20, 255) if plate[0] else (255, 255, 255, 255)
        _line(layer, one if at < 0.5 else two, layer.height * 0.82, size, fill, plate)


def lower_third(layer: Image.Image, at: float, rng: np.random.Generator) -> None:
    x = layer.width * (0.05 - 0.6 * max(0.0, 0.3 - at) / 0.3)
    _line(layer, "Dr. Anna Keller", layer.height * 0.72, layer.height * 0.06, plate=(180, 20, 30, 255), x=x)
    _line(
        layer,
        "Institute of Marine Biology",
        layer.height * 0.81,
        layer.height * 0.04,
        plate=(20, 20, 60, 255),
        x=x,
    )


def ticker(layer: Image.Image, at: float, rng: np.random.Generator) -> None:
    pen = ImageDraw.Draw(layer)
    top = layer.height * 0.9
    pen.rectangle([0, top, layer.width, layer.height], fill=(20, 30, 90, 255))
    words = (
        "STOCKS FALL AS RATES RISE  +++  STORM WARNING FOR THE NORTH COAST  +++  FINAL SCORE 3 TO 2  +++  "
    )
    pen.text(
        (-at * layer.width * 0.7, top + 2),
        words * 2,
        font=font(layer.height * 0.055),
        fill=(255, 255, 255, 255),
    )


def bare_ticker(layer: Image.Image, at: float, rng: np.random.Generator) -> None:
    words = "subscribe to the channel for more videos   -   new episode every friday   -   "
    _line(layer, words, layer.height * 0.05, layer.height * 0.06, x=layer.width * (0.3 - 0.8 * at))


def moving_watermark(layer: Image.Image, at: float, rng: np.random.Generator) -> None:
    angle = rng.uniform(0, 2 * np.pi)
    x = layer.width * (0.35 + 0.25 * np.cos(angle) * (at * 2 - 1))
    y = layer.height * (0.45 + 0.3 * np.sin(angle) * (at * 2 - 1))
    _line(layer, "@studio.example", y, layer.height * 0.06, (255, 255, 255, 170), x=x, stroke=1)


def jumping_watermark(layer: Image.Image, at: float, rng: np.random.Generator) -> None:
    places = rng.uniform((0.05, 0.05), (0.5, 0.85), (4, 2))
    x, y = places[int(at * 4)]
    _line(layer, "stockfootage.example", y * layer.height, layer.height * 0.055, (255, 255, 255, 190),
          x=x * layer.width, stroke=1)  # fmt: skip


def corner_watermark(layer: Image.Image, at: float, rng: np.random.Generator) -> None:
    _line(layer, "NEWS 24 LIVE", layer.height * 0.05, layer.height * 0.06, (255, 255, 255, 150),
          x=layer.width * 0.66, stroke=0)  # fmt: skip


def tiled_watermark(layer: Image.Image, at: float, rng: np.random.Generator) -> None:
    for row in range(3):
        for column in range(2):
            _line(layer, "PREVIEW ONLY", layer.height * (0.1 + 0.32 * row), layer.height * 0.07,
                  (255, 255, 255, 120), x=layer.width * (0.05 + 0.5 * column), stroke=1)  # fmt: skip


def upright(layer: Image.Image, at: float, rng: np.random.Generator) -> None:
    """Chinese letters below each other, as titles have them."""
    size = round(layer.height * 0.085)
    for number, letter in enumerate("最后一班火车"):
        _chinese(
            layer, letter, int(layer.width * 0.88), int(layer.height * 0.12 + number * size * 1.15), size
        )


def turned(layer: Image.Image, at: float, rng: np.random.Generator) -> None:
    """A line that runs up the side of the picture."""
    line = Image.new("RGBA", (round(layer.height * 0.7), round(layer.height * 0.1)), (0, 0, 0, 0))
    _line(line, "www.travel-films.example", 2, layer.height * 0.055, stroke=1)
    layer.alpha_composite(
        line.rotate(90, expand=True), (round(layer.width * 0.03), round(layer.height * 0.15))
    )


def one_word(layer: Image.Image, at: float, rng: np.random.Generator) -> None:
    """One large word after the other in the middle, as short videos have them."""
    words = ("THIS", "is", "what", "HAPPENS", "when", "NOBODY", "is", "LOOKING")
    _line(
        layer,
        words[int(at * len(words))],
        layer.height * 0.6,
        layer.height * 0.11,
        (255, 240, 60, 255),
        stroke=4,
    )


def clock(layer: Image.Image, at: float, rng: np.random.Generator) -> None:
    """A camera's date and time of day."""
    _line(layer, f"2024-03-17 14:05:{int(10 + 3 * at):02d}.{int(at * 3000) % 1000:03d}", layer.height * 0.04,
          layer.height * 0.05, x=layer.width * 0.05, stroke=1, face="DejaVuSansMono-Bold.ttf")  # fmt: skip


def credits(layer: Image.Image, at: float, rng: np.random.Generator) -> None:
    for number, line in enumerate(
        ("Directed by", "Jane Example", "Music", "The Placeholders", "Camera", "A. N. Other")
    ):
        _line(layer, line, layer.height * (0.9 + 0.12 * number - 0.7 * at), layer.height * 0.06)


def fading(layer: Image.Image, at: float, rng: np.random.Generator) -> None:
    """A title that comes and goes slowly."""
    alpha = round(255 * min(1.0, max(0.0, 1.3 - abs(at - 0.5) * 3.2)))
    _line(layer, "The Long Way Home", layer.height * 0.45, layer.height * 0.09, (255, 255, 255, alpha), stroke=0,
          face="DejaVuSerif.ttf")  # fmt: skip


OVERLAYS: dict[str, Callable] = {
    "whole": subtitle("latin", 0, 1),
    "middle": subtitle("latin", 0.15, 0.8),
    "last_half": subtitle("latin", 0.55, 1.01, face="DejaVuSans.ttf"),
    "two_subtitles": two_subtitles,
    "two_plates": two_plates,
    "yellow": subtitle("latin", 0.1, 0.7, fill=(255, 230, 0, 255)),
    "cyrillic": subtitle("cyrillic", 0, 0.6),
    "greek": subtitle("greek", 0.3, 1.01),
    "arabic": subtitle("arabic", 0, 0.7),
    "georgian": subtitle("georgian", 0.2, 0.9),
    "chinese": subtitle("chinese", 0.1, 0.8),
    "upright": upright,
    "turned": turned,
    "lower_third": lower_third,
    "ticker": ticker,
    "bare_ticker": bare_ticker,
    "moving_watermark": moving_watermark,
    "jumping_watermark": jumping_watermark,
    "corner_watermark": corner_watermark,
    "tiled_watermark": tiled_watermark,
    "one_word": one_word,
    "clock": clock,
    "credits": credits,
    "fading": fading,
}
