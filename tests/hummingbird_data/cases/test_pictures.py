"""Pictures as a player shows them: upright, whole, and those of the film."""

import struct
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from footage_files import HEIGHT, RATE, WIDTH, add, clips_of, picture
from hummingbird_data.reading.decode import decode
from hummingbird_data.reading.probe import Limits, probe

MATRICES: dict[str, tuple[tuple[int, int, int, int], Any]] = {
    # What takes the stored place (x, y) to (a x + c y, b x + d y), and how a picture is stored so that it ends upright.
    "upright": ((1, 0, 0, 1), lambda p: p),
    "quarter": ((0, 1, -1, 0), lambda p: np.rot90(p, 1)),
    "half": ((-1, 0, 0, -1), lambda p: np.rot90(p, 2)),
    "three quarters": ((0, -1, 1, 0), lambda p: np.rot90(p, 3)),
    "sides": ((-1, 0, 0, 1), lambda p: p[:, ::-1]),
    "ends": ((1, 0, 0, -1), lambda p: p[::-1]),
    "diagonal": ((0, 1, 1, 0), lambda p: p.transpose(1, 0, 2)),
    "other diagonal": ((0, -1, -1, 0), lambda p: np.rot90(p, 2).transpose(1, 0, 2)),
}


@pytest.mark.parametrize("name", MATRICES)
@pytest.mark.parametrize("suffix", ["mp4", "mov"])
def test_pictures_are_turned_and_mirrored_as_the_matrix_says(tmp_path: Path, name: str, suffix: str) -> None:
    matrix, stored = MATRICES[name]
    path = tmp_path / f"a.{suffix}"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=RATE, options={"crf": "22"})
        height, width = stored(picture(0)).shape[:2]
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for k in range(55):
            add(out, stream, stored(picture(k)), k, RATE)
        out.mux(stream.encode())
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 44
    a, b, c, d = (value << 16 for value in matrix)
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    (clip,) = clips_of(path)
    assert clip.pictures.shape[1:] == (HEIGHT, WIDTH, 3)
    assert clip.numbers == list(range(55))
    assert np.abs(clip.pictures[20].astype(int) - picture(20)).mean() < 8


def combs(luma: np.ndarray) -> float:
    """How much more neighboring lines differ than lines of one field do: above 1 where a picture is combed."""
    luma = luma[:, : HEIGHT - 32].astype(float)
    return float(np.abs(luma[:, 1:] - luma[:, :-1]).mean() / np.abs(luma[:, 2:] - luma[:, :-2]).mean())


def fields(
    path: Path, codec: str, options: dict[str, str], woven: bool = True, top: bool = True, still: int = 0
) -> Path:
    """50 fields a second woven into 25 pictures, or each second of them whole; the first ``still`` do not move."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        if codec == "mpeg2video":
            stream.codec_context.bit_rate = 2_000_000
        for k in range(75):
            # A picture's number is the same in both of its fields; the camera moves on from one to the other.
            now, later = (picture(k) if k < still else moved(k, part) for part in (0, 1))
            whole = now.copy()
            if woven:
                whole[top::2] = later[top::2]
            add(out, stream, whole, k, RATE)
        out.mux(stream.encode())
    return path


def moved(number: int, half: int) -> np.ndarray:
    rgb = picture(number)
    return np.vstack([picture(3 * (2 * number + half) / 2)[:-32], rgb[-32:]])


@pytest.mark.parametrize(
    ("name", "codec", "options", "top"),
    [
        ("a.ts", "mpeg2video", {"flags": "+ildct+ilme"}, True),
        ("a.mkv", "libx264", {"crf": "22", "x264-params": "tff=1"}, True),
        ("a.mkv", "libx264", {"crf": "22", "x264-params": "bff=1"}, False),
        ("unflagged.mp4", "libx264", {"crf": "22"}, True),
        ("lying.mkv", "libx264", {"crf": "22", "x264-params": "tff=1"}, False),
        ("a.avi", "mpeg4", {"b": "2M"}, False),
    ],
)
def test_interlaced_pictures_become_whole(
    tmp_path: Path, name: str, codec: str, options: dict[str, str], top: bool
) -> None:
    path = fields(tmp_path / name, codec, options, top=top)
    info = probe(path, Limits())
    stored = np.stack([frame.rgb.mean(-1) for frame in decode(path, info, Limits(), 480)])
    (clip,) = clips_of(path)
    assert combs(stored) > 1
    assert combs(clip.pictures.mean(-1)) < 0.75
    assert clip.numbers == list(range(75))


@pytest.mark.parametrize("options", [{"crf": "22", "x264-params": "tff=1"}, {"crf": "22"}])
def test_whole_pictures_stay_as_they_are_whatever_the_flags_say(
    tmp_path: Path, options: dict[str, str]
) -> None:
    path = fields(tmp_path / "a.mkv", "libx264", options, woven=False)
    info = probe(path, Limits())
    stored = np.stack([frame.rgb for frame in decode(path, info, Limits(), 480)])
    (clip,) = clips_of(path)
    assert np.abs(clip.pictures.astype(int) - stored).mean() < 2


def test_telecined_pictures_become_whole(tmp_path: Path) -> None:
    """Two of five pictures are woven of two: film as television sends it."""
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=30, options={"crf": "20"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        film = [picture(4 * k) for k in range(80)]
        for k in range(75):
            group, place = divmod(k, 5)
            one, two = ((0, 0), (1, 1), (1, 2), (2, 3), (3, 3))[place]
            whole = film[4 * group + one].copy()
            whole[1::2] = film[4 * group + two][1::2]
            add(out, stream, whole, k, 30)
        out.mux(stream.encode())
    clips = clips_of(path)
    luma = np.concatenate([clip.pictures for clip in clips]).mean(-1)
    assert max(combs(luma[k : k + 1]) for k in range(len(luma))) < 0.9


@pytest.mark.parametrize("stills", [1, 3])
@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize(
    ("suffix", "codec"),
    [("mp4", "mjpeg"), ("mp4", "png"), ("mkv", "mjpeg"), ("mkv", "libx264"), ("mov", "libx264")],
)
def test_the_film_is_read_and_not_a_still_beside_it(
    tmp_path: Path, suffix: str, codec: str, before: bool, stills: int
) -> None:
    path = tmp_path / f"a.{suffix}"
    with av.open(str(path), "w") as out:
        streams = {}
        for kind in ("still", "film") if before else ("film", "still"):
            stream = out.add_stream("libx264" if kind == "film" else codec, rate=RATE)
            stream.width, stream.height = (WIDTH, HEIGHT) if kind == "film" else (960, 540)
            stream.pix_fmt = (
                {"png": "rgb24", "mjpeg": "yuvj420p"}.get(codec, "yuv420p") if kind == "still" else "yuv420p"
            )
            streams[kind] = stream
        for k in range(stills):
            add(out, streams["still"], picture(1000, 3, 960, 540), 50 * k, RATE)
        out.mux(streams["still"].encode())
        for k in range(75):
            add(out, streams["film"], picture(k), k, RATE)
        out.mux(streams["film"].encode())
    (clip,) = clips_of(path)
    assert clip.numbers == list(range(75))


def test_a_second_film_of_another_size_is_not_mixed_in(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as out:
        first, second = (out.add_stream("libx264", rate=RATE) for _ in range(2))
        for stream, size in ((first, (WIDTH, HEIGHT)), (second, (WIDTH // 2, HEIGHT // 2))):
            stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for k in range(75):
            add(out, first, picture(k), k, RATE)
            add(out, second, picture(k, 1)[::2, ::2], k, RATE)
        out.mux(first.encode())
        out.mux(second.encode())
    (clip,) = clips_of(path)
    assert clip.numbers == list(range(75))
