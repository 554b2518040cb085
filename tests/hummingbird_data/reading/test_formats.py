"""Every kind of file that is let in gives its frames, with the colors and times that a player shows."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hummingbird_data.reading.decode import Frame, LumaSettings, decode
from hummingbird_data.reading.extract import extract
from hummingbird_data.reading.probe import Limits, probe
from hummingbird_data.stage import StageError

COLORS = ((200, 40, 40), (40, 200, 40), (40, 40, 200), (220, 220, 220))
COUNT, FPS = 12, 12


def stripes(width: int, height: int) -> np.ndarray:
    picture = np.zeros((height, width, 3), np.uint8)
    for number, color in enumerate(COLORS):
        picture[:, number * width // 4 : (number + 1) * width // 4] = color
    return picture


def add_video(
    container: Any,
    codec: str,
    pixels: str,
    size: tuple[int, int] = (96, 72),
    aspect: int = 1,
    options: Any = None,
) -> Any:
    stream = container.add_stream(codec, rate=FPS, options=options or {})
    stream.width, stream.height = size
    stream.pix_fmt = pixels
    stream.codec_context.sample_aspect_ratio = Fraction(aspect)
    return stream


def mux_frames(
    container: Any, stream: Any, start: int = 0, alpha: int | None = None, count: int = COUNT
) -> None:
    picture = stripes(stream.width, stream.height)
    if alpha is not None:
        picture = np.dstack([picture, np.full(picture.shape[:2], alpha, np.uint8)])
    for index in range(count):
        frame = av.VideoFrame.from_ndarray(picture, "rgb24" if alpha is None else "rgba")
        frame = frame.reformat(format=stream.pix_fmt)
        frame.pts, frame.time_base = index + start, Fraction(1, FPS)
        container.mux(stream.encode(frame))
    container.mux(stream.encode())


def write(
    path: Path, codec: str, pixels: str = "yuv420p", start: int = 0, alpha: int | None = None, **kind: Any
) -> Path:
    with av.open(str(path), "w") as container:
        mux_frames(container, add_video(container, codec, pixels, **kind), start, alpha)
    return path


def read(path: Path) -> list[Frame]:
    info = probe(path, Limits())
    return list(decode(path, info, Limits(), 480))


def colors(frame: Frame) -> np.ndarray:
    height, width = frame.rgb.shape[:2]
    return frame.rgb[height // 2, [width * (2 * n + 1) // 8 for n in range(4)]].astype(int)


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [
        ("a.mp4", "libx264", "yuv420p"),
        ("a.mkv", "libx264", "yuv444p"),
        ("a.ts", "libx264", "yuv420p"),
        ("a.flv", "libx264", "yuv420p"),
        ("a.webm", "libvpx-vp9", "yuv420p"),
        ("b.webm", "libvpx", "yuv420p"),
        ("av1.mp4", "libsvtav1", "yuv420p"),
        ("a.avi", "mpeg4", "yuv420p"),
        ("full.mov", "mjpeg", "yuvj420p"),  # full range of levels
        ("ten.mp4", "libx264", "yuv420p10le"),
        ("hevc.mp4", "libx265", "yuv420p10le"),
        ("a.mov", "prores_ks", "yuv422p10le"),
    ],
)
def test_containers_codecs_and_depths(tmp_path: Path, name: str, codec: str, pixels: str) -> None:
    quiet = {"x265-params": "log-level=none"} if codec == "libx265" else None
    frames = read(write(tmp_path / name, codec, pixels, options=quiet))
    assert [round((f.time - frames[0].time) * FPS) for f in frames] == list(range(COUNT))
    assert frames[0].rgb.shape == (72, 96, 3)
    assert np.abs(colors(frames[6]) - COLORS).max() <= 6


def test_what_is_not_on_the_lists_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="codec ffv1 is not among"):
        probe(write(tmp_path / "a.mkv", "ffv1"), Limits())
    with pytest.raises(StageError, match="no video that can be opened"):
        probe(write(tmp_path / "a.gif", "gif", "rgb8"), Limits())


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_a_delayed_start_stays_delayed_and_is_not_truncated(tmp_path: Path, name: str) -> None:
    frames = read(write(tmp_path / name, "libx264", start=18))
    assert [round(frame.time, 2) for frame in frames] == [round(1.5 + n / FPS, 2) for n in range(COUNT)]


def cut_without_coding(source: Path, target: Path, frames: int) -> Path:
    """The file from frame ``frames`` on, as ``ffmpeg -ss -c copy`` cuts it: an edit list hides what is before."""
    with av.open(str(source)) as given, av.open(str(target), "w", options={"movflags": "faststart"}) as made:
        stream = given.streams.video[0]
        copy = made.add_stream_from_template(stream)
        shift = round(frames / FPS / stream.time_base)
        for packet in given.demux(stream):
            if packet.dts is not None:
                packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, copy
                made.mux(packet)
    return target


def test_what_an_edit_list_hides_is_not_missing(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.mp4", "libx264", options={"g": "100"})
    cut = cut_without_coding(whole, tmp_path / "cut.mp4", 7)
    assert probe(cut, Limits()).frames == COUNT
    assert [round(frame.time * FPS) for frame in read(cut)] == list(range(COUNT - 7))
    cut.write_bytes(cut.read_bytes()[:-20])
    with pytest.raises(StageError, match=r"truncated: \d of 5 frames"):
        read(cut)


def test_a_file_whose_very_last_picture_is_damaged_is_read(tmp_path: Path) -> None:
    path, count = tmp_path / "cut.mp4", 60
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        mux_frames(container, add_video(container, "libx264", "yuv420p"), count=count)
    path.write_bytes(path.read_bytes()[:-10])
    assert count - 2 <= len(read(path)) <= count


@pytest.mark.parametrize("size", [(101, 77), (97, 72), (96, 75)])
def test_odd_sizes_become_even(tmp_path: Path, size: tuple[int, int]) -> None:
    (frame, *_) = read(write(tmp_path / "a.mp4", "libx264", "yuv444p", size=size))
    height, width = frame.rgb.shape[:2]
    assert height % 2 == width % 2 == 0
    assert abs(width - size[0]) <= 1
    assert abs(height - size[1]) <= 1
    assert np.abs(colors(frame) - COLORS).max() <= 6


def test_wide_pixels_are_made_square(tmp_path: Path) -> None:
    (frame, *_) = read(write(tmp_path / "a.mp4", "libx264", aspect=2))
    assert frame.rgb.shape == (72, 192, 3)


@pytest.mark.parametrize("alpha", [0, 128, 255])
def test_what_is_transparent_is_shown_before_black(tmp_path: Path, alpha: int) -> None:
    path = write(tmp_path / "a.mov", "prores_ks", "yuva444p10le", alpha=alpha, options={"profile": "4444"})
    assert np.abs(colors(read(path)[0]) - np.array(COLORS) * alpha / 255).max() <= 6


@pytest.mark.parametrize("name", ["a.mkv", "a.ts", "a.mp4"])
def test_of_several_streams_the_one_that_players_show_is_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with av.open(str(path), "w") as container:
        sound = container.add_stream("aac", rate=8000)
        first = add_video(container, "libx264", "yuv420p")
        second = add_video(container, "libx264", "yuv420p", (48, 36))
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        container.mux(sound.encode(frame))
        mux_frames(container, first)
        mux_frames(container, second)
        container.mux(sound.encode())
    frames = read(path)
    assert (len(frames), frames[0].rgb.shape) == (COUNT, (72, 96, 3))


def test_a_stream_that_grows_beyond_the_limit_is_stopped(tmp_path: Path) -> None:
    small = write(tmp_path / "a.ts", "libx264")
    large = write(tmp_path / "b.ts", "libx264", start=COUNT, size=(640, 480))
    joined = tmp_path / "c.ts"
    joined.write_bytes(small.read_bytes() + large.read_bytes())
    limits = Limits(pixels=10_000)
    with pytest.raises(StageError, match="grows to 640x480"):
        list(decode(joined, probe(joined, limits), limits, 480))


def test_gray_pictures_come_with_some_frames(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", "libx264")
    frames = list(decode(path, probe(path, Limits()), Limits(), 36, LumaSettings(5)))
    assert [f.luma.shape if f.luma is not None else None for f in frames[:6]] == [
        (72, 96),
        *[None] * 4,
        (72, 96),
    ]


def test_a_letterboxed_file_becomes_clips_without_bars(
    tmp_path: Path, write_video: Callable, shot: Callable
) -> None:
    frames = np.pad(shot(1, size=(160, 128)), ((0, 0), (16, 16), (0, 0), (0, 0)))
    path = write_video(tmp_path / "a.mp4", frames)
    made = extract(str(path), str(tmp_path), {}, {}, {})
    assert [(c["width"], c["height"], c["num_frames"]) for c in made["clips"]] == [(160, 126, 60)]
