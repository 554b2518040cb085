"""Small video files of awkward kinds, whose pictures carry their number, and what clips show of them.

The number stands at the bottom of each picture as ten squares in Gray code, least bit left, light for 1. So a clip
can be compared picture by picture without the product's own idea of time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
from hummingbird_data.reading.extract import extract

WIDTH, HEIGHT, RATE = 224, 144, 25
_SIDE = 16  # of a square

QUICK: dict[str, dict[str, str]] = {
    "libx264": {"crf": "26", "preset": "veryfast"},
    "libx265": {"crf": "28", "preset": "ultrafast", "x265-params": "log-level=none"},
    "libvpx": {"crf": "30", "b:v": "600k", "deadline": "realtime", "cpu-used": "8"},
    "libvpx-vp9": {"crf": "40", "b:v": "0", "deadline": "realtime", "cpu-used": "8"},
    "libsvtav1": {"crf": "40", "preset": "12"},
    "mpeg4": {"b": "900k"},
    "msmpeg4v3": {"b": "1500k"},
    "wmv2": {"b": "1500k"},
    "mpeg2video": {"b": "1500k"},
    "mjpeg": {"b": "3000k"},
}


@cache
def scene(shot: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """A landscape of blobs and grain, wider than the picture, of its own for each shot: RGB float."""
    draw = np.random.default_rng(100 + shot)
    y, x = np.mgrid[:height, : width + 96]
    rgb = np.full((height, width + 96, 3), draw.uniform(60, 140, 3))
    for _ in range(60):
        cx, cy, size = draw.uniform(0, width + 96), draw.uniform(0, height), draw.uniform(6, height / 4)
        rgb[(x - cx) ** 2 + (y - cy) ** 2 < size * size] = draw.uniform(30, 225, 3)
    return rgb + draw.normal(0, 4, rgb.shape)


def picture(number: float, shot: int = 0, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """RGB uint8: the scene as a camera that pans sees it, and the whole part of ``number`` in squares."""
    left = round(48 + 44 * np.sin(number / 15))
    rgb = scene(shot, width, height)[:, left : left + width].copy()
    whole = int(number)
    for bit in range(10):
        light = (whole ^ whole >> 1) >> bit & 1
        rgb[-24:-8, 8 + 20 * bit : 8 + 20 * bit + _SIDE] = 220 if light else 40
    return np.clip(rgb, 0, 255).astype(np.uint8)


def number_of(rgb: np.ndarray) -> int:
    """What `picture` wrote."""
    luma = rgb.mean(-1)
    code = sum((luma[-20:-12, 12 + 20 * bit : 20 + 20 * bit].mean() > 130) << bit for bit in range(10))
    number = 0
    while code:
        number ^= code
        code >>= 1
    return number


def write(
    path: Path,
    codec: str = "libx264",
    count: int = 75,
    *,
    first: int = 0,
    times: Sequence[float] | None = None,
    shots: Sequence[int] | None = None,
    rate: int = RATE,
    options: dict[str, str] | None = None,
    mux: dict[str, str] | None = None,
    container: str | None = None,
    b_frames: int | None = None,
    gop: int | None = None,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    sound: float = 0.0,
) -> Path:
    """Pictures numbered from ``first`` on, at ``times`` in seconds (none: ``rate`` a second), each of its shot."""
    with av.open(str(path), "w", format=container, options=mux or {}) as out:
        stream = out.add_stream(codec, rate=rate, options={**QUICK.get(codec, {}), **(options or {})})
        stream.width, stream.height = size
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if b_frames is not None:
            stream.codec_context.max_b_frames = b_frames
        if gop is not None:
            stream.codec_context.gop_size = gop
        tone = add_tone(out) if sound else None
        for k in range(count):
            rgb = picture(first + k, shots[k] if shots else 0, *size)
            add(
                out,
                stream,
                rgb,
                k if times is None else round(1000 * times[k]),
                rate if times is None else 1000,
            )
        out.mux(stream.encode())
        if tone is not None:
            play(out, tone, sound)
    return path


def add(out: Any, stream: Any, rgb: np.ndarray, pts: int, rate: int) -> None:
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24").reformat(
        format=stream.pix_fmt
    )
    frame.pts, frame.time_base = pts, Fraction(1, rate)
    out.mux(stream.encode(frame))


def add_tone(out: Any) -> Any:
    vorbis = any(name in out.format.name for name in ("webm", "matroska"))
    return out.add_stream("libopus" if vorbis else "aac", rate=48000, layout="mono")


def play(out: Any, stream: Any, seconds: float) -> None:
    for number in range(round(seconds * 50)):
        wave = (2000 * np.sin(np.arange(960) * 0.0576)).astype(np.int16)[None]
        samples = av.AudioFrame.from_ndarray(wave, format="s16", layout="mono")
        samples.sample_rate, samples.pts, samples.time_base = 48000, number * 960, Fraction(1, 48000)
        out.mux(stream.encode(samples))
    out.mux(stream.encode())


def spoil(path: Path, at: float, length: int = 300, seed: int = 7) -> Path:
    """Overwrites bytes at the share ``at`` of the coded pictures."""
    data = bytearray(path.read_bytes())
    begin, size = 0, len(data)
    if b"mdat" in data:
        begin = data.index(b"mdat") + 4
        size = int.from_bytes(data[begin - 8 : begin - 4], "big")
    place = begin + int(size * at)
    data[place : place + length] = np.random.default_rng(seed).bytes(length)
    path.write_bytes(data)
    return path


@dataclass(frozen=True)
class ClipSeen:
    """A clip of the product: its times in the source, its rate, and its pictures with the numbers that they carry."""

    shot: int
    start: float
    end: float
    fps: float
    pictures: np.ndarray

    @property
    def numbers(self) -> list[int]:
        return [number_of(rgb) for rgb in self.pictures]

    @property
    def in_turn(self) -> list[int]:
        """The numbers, each once where it is shown several times in a row."""
        found = self.numbers
        return [number for k, number in enumerate(found) if k == 0 or number != found[k - 1]]


def clips_of(path: Path, limits: dict[str, Any] | None = None, **clips: Any) -> list[ClipSeen]:
    """What curation cuts ``path`` into. Raises StageError."""
    folder = path.parent / f"{path.name}.clips"
    folder.mkdir(exist_ok=True)
    made = extract(str(path), str(folder), limits or {}, {}, clips)
    seen = []
    for clip in made["clips"]:
        with av.open(str(folder / clip["file"])) as container:
            rgb = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
        seen.append(
            ClipSeen(clip["shot_index"], clip["start_seconds"], clip["end_seconds"], made["fps"], rgb)
        )
    return seen
