"""Lengths that are another stream's or nobody's, files that were cut off, damage, and containers that are not read."""

import struct
from pathlib import Path

import av
import numpy as np
import pytest
from footage_files import add, clips_of, spoil, write
from hummingbird_data.reading.probe import Limits, probe
from hummingbird_data.stage import StageError


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mkv", "libx264"),
        ("a.webm", "libvpx"),
        ("a.mp4", "libx264"),
        ("a.ts", "mpeg2video"),
        ("a.flv", "libx264"),
    ],
)
def test_longer_sound_makes_no_file_truncated(tmp_path: Path, name: str, codec: str) -> None:
    (clip,) = clips_of(write(tmp_path / name, codec, sound=8.0))
    assert clip.numbers == list(range(75))


def with_length(data: bytes, value: float | None) -> bytes:
    """Matroska with another number as its length (element 0x4489 of 8 bytes), or none."""
    changed, at = bytearray(data), data.index(b"\x44\x89\x88")
    changed[at : at + 11] = (
        b"\xec\x89" + bytes(9) if value is None else b"\x44\x89\x88" + struct.pack(">d", value)
    )
    return bytes(changed)


@pytest.mark.parametrize("value", [1e15, 7.2e6, 0.0, float("nan"), -4000.0, float("inf"), None])
@pytest.mark.parametrize("name", ["a.webm", pytest.param("a.mkv", marks=pytest.mark.slow)])
def test_a_length_that_cannot_be_is_passed_over_in_a_whole_file(
    tmp_path: Path, name: str, value: float | None
) -> None:
    path = write(tmp_path / name, "libvpx")
    path.write_bytes(with_length(path.read_bytes(), value))
    assert probe(path, Limits()).seconds == pytest.approx(3.0, abs=0.05)


@pytest.mark.parametrize(
    "share", [pytest.param(0.3, marks=pytest.mark.slow), 0.6, pytest.param(0.9, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize(
    ("name", "codec", "mux"),
    [
        ("a.webm", "libvpx", {}),
        ("a.mkv", "libx264", {}),
        ("live.mkv", "libx264", {"live": "1"}),
        ("a.mp4", "libx264", {"movflags": "faststart"}),
        ("pieces.mp4", "libx264", {"movflags": "frag_keyframe+empty_moov", "frag_duration": "500000"}),
        ("a.avi", "mpeg4", {}),
        ("a.flv", "libx264", {}),
        ("a.ts", "libx264", {}),
        ("a.mpg", "mpeg2video", {}),
        ("a.wmv", "wmv2", {}),
        ("a.ogv", "libvpx", {}),
    ],
)
def test_a_file_that_was_cut_off_is_said_to_be(
    tmp_path: Path, name: str, codec: str, mux: dict[str, str], share: float
) -> None:
    path = write(tmp_path / name, codec, mux=mux)
    assert clips_of(path)[0].numbers == list(range(75))
    data = path.read_bytes()
    if name == "a.webm":
        data = with_length(data, None)
    path.write_bytes(data[: int(len(data) * share) // 188 * 188 + 99])
    with pytest.raises(StageError, match=r"truncated|cut off"):
        clips_of(path)


@pytest.mark.parametrize("at", [0.35, pytest.param(0.62, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx264", {}),
        ("slices.mp4", "libx264", {"x264-params": "slices=4:keyint=12"}),
        ("a.mkv", "libx264", {}),
        ("a.ts", "libx264", {}),
        ("a.flv", "libx264", {}),
        ("a.avi", "mpeg4", {}),
        ("a.mkv", "mpeg4", {}),
        ("a.ts", "mpeg2video", {}),
        ("a.avi", "mjpeg", {}),
        ("a.mov", "mjpeg", {}),
        ("a.webm", "libvpx-vp9", {}),
        ("a.mp4", "libvpx-vp9", {}),
        ("a.mkv", "libvpx", {}),
        ("a.mkv", "libx265", {}),
        ("a.mp4", "libsvtav1", {}),
        ("a.ogv", "libvpx", {}),
        ("a.wmv", "wmv2", {}),
        ("a.asf", "msmpeg4v3", {}),
        ("a.mpg", "mpeg2video", {}),
    ],
)
def test_damage_in_the_middle_is_refused_with_its_second(
    tmp_path: Path, name: str, codec: str, options: dict[str, str], at: float
) -> None:
    path = write(tmp_path / name, codec, 100, options=options, shots=[0] * 50 + [1] * 50)
    assert sum(len(clip.numbers) for clip in clips_of(path)) == 100
    with pytest.raises(StageError, match=r"damaged picture at \d\.\d\d s") as raised:
        clips_of(spoil(path, at))
    assert raised.value.stage == "decode"


def test_a_bad_sound_track_does_not_cost_the_picture(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", sound=3.0)
    data = path.read_bytes()
    at = data.index(b"mp4a")  # the description of the sound: an unknown one
    path.write_bytes(data[:at] + b"\0\0\0\0" + data[at + 4 :])
    (clip,) = clips_of(path)
    assert clip.numbers == list(range(75))


def test_containers_that_are_not_read_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.rm"
    path.write_bytes(b".RMF" + bytes(1000))
    with pytest.raises(StageError, match="RealMedia is not among") as raised:
        probe(path, Limits())
    assert raised.value.stage == "probe"


@pytest.mark.parametrize("size", [(2, 2), (8, 8), (320, 16)])
def test_pictures_of_a_few_pixels_are_refused_before_they_are_decoded(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for k in range(30):
            add(out, stream, np.full((size[1], size[0], 3), 8 * k, np.uint8), k, 25)
        out.mux(stream.encode())
    with pytest.raises(StageError, match=rf"{size[0]}x{size[1]} pixels, less than 32") as raised:
        probe(path, Limits())
    assert raised.value.stage == "probe"


def test_no_more_than_the_limits_is_held_of_a_picture_whatever_the_clock_says(tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.08, 3500.0, 3500.04, 3500.08]
    info = probe(write(tmp_path / "a.mkv", "libx264", 6, times=times), Limits())
    assert info.seconds == pytest.approx(0.24, abs=0.01)
    clips = clips_of(tmp_path / "a.mkv", {"seconds": 1.0})
    assert [len(clip.numbers) for clip in clips] == [3, 3]
