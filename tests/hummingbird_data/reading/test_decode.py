"""Frames come upright, with their times; what cannot be read to its end is an error in words."""

import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hummingbird_data.reading.decode import decode, fitted
from hummingbird_data.reading.probe import Limits, VideoInfo, probe
from hummingbird_data.stage import StageError


def read(path: Path, limits: Limits | None = None, side: int = 480) -> tuple[VideoInfo, list]:
    limits = limits or Limits()
    info = probe(path, limits)
    return info, list(decode(path, info, limits, side))


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory, write_video: Callable, shot: Callable) -> Path:
    return write_video(tmp_path_factory.mktemp("video") / "a.mp4", shot(1, seconds=2.0))


def test_all_frames_come_in_order_of_time(video: Path) -> None:
    info, frames = read(video)
    assert (info.codec, info.fps, info.frames, info.width, info.height) == ("h264", 24, 48, 160, 128)
    assert [round(frame.time * 24) for frame in frames] == list(range(48))
    assert frames[0].rgb.shape == (128, 160, 3)
    assert read(video, side=64)[1][0].rgb.shape == (64, 80, 3)


def test_a_variable_rate_keeps_its_times(tmp_path: Path, write_video: Callable, shot: Callable) -> None:
    times = [0, 40, 80, 400, 440, 1200]
    _, frames = read(write_video(tmp_path / "vfr.mp4", shot(1)[:6], times=times))
    assert [round(frame.time * 1000) for frame in frames] == times


def test_rotation_is_undone(tmp_path: Path, write_video: Callable) -> None:
    picture = np.zeros((1, 96, 128, 3), np.uint8)
    picture[:, :48] = (250, 0, 0)  # red above black
    path = write_video(tmp_path / "turned.mp4", np.repeat(picture, 4, 0))
    content = path.read_bytes()
    identity = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    quarter = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 96 << 16, 0, 1 << 30)
    header = content.index(b"tkhd")
    at = content.index(identity, header)
    path.write_bytes(content[:at] + quarter + content[at + 36 :])
    _, frames = read(path)
    rgb = frames[0].rgb
    assert rgb.shape == (128, 96, 3)
    # A quarter turn clockwise, as players show it: what was above is on the right.
    assert rgb[:, 60:, 0].mean() > 200
    assert rgb[:, :36, 0].mean() < 50


def test_pixel_aspect_and_odd_sizes_give_even_square_pixels() -> None:
    info = VideoInfo("mov", "h264", 101, 77, Fraction(2), Fraction(24), 0, 0.0)
    assert fitted(info, 480) == (202, 76) or fitted(info, 480) == (202, 78)
    assert fitted(info, 38)[1] == 38


def test_broken_files_are_refused_in_words(tmp_path: Path, video: Path) -> None:
    whole = video.read_bytes()
    cases = {
        "empty.mp4": (b"", "empty"),
        "text.mp4": (b"<html>not found</html>" * 100, "no video that can be opened"),
        "noise.mp4": (np.random.default_rng(0).bytes(5000), "no video that can be opened"),
        "half.mp4": (whole[: len(whole) // 2], "truncated|Invalid data"),
        "most.mp4": (whole[: len(whole) * 9 // 10], "truncated|Invalid data"),
    }
    for name, (content, message) in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(StageError, match=message):
            read(tmp_path / name)


def test_a_file_with_sound_alone_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(StageError, match=r"no video stream .*audio"):
        probe(path, Limits())


def test_a_playlist_cannot_open_other_files(tmp_path: Path, video: Path) -> None:
    path = tmp_path / "list.mp4"
    path.write_text(f"#EXTM3U\n#EXTINF:2,\nfile://{video}\n#EXT-X-ENDLIST\n")
    with pytest.raises(StageError, match="no video that can be opened"):
        probe(path, Limits())


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(megabytes=0.001), "MB, over"),
        (Limits(seconds=1), "s, over"),
        (Limits(pixels=1000), "pixels, over"),
        (Limits(frames=10), "frames, over"),
    ],
)
def test_limits_are_checked_before_decoding(video: Path, limits: Limits, message: str) -> None:
    with pytest.raises(StageError, match=message):
        probe(video, limits)
