"""The clock of real files: each picture that is shown is in a clip once, in order, and at its own time."""

import io
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from footage_files import RATE, add, clips_of, picture, write
from hummingbird_data.stage import StageError


@pytest.mark.parametrize(
    ("name", "codec", "options", "b_frames"),
    [
        ("a.avi", "libx264", {"x264-params": "bframes=3:b-adapt=0"}, 3),
        ("a.avi", "libx264", {"x264-params": "bframes=7:b-pyramid=normal:b-adapt=0"}, 7),
        ("a.avi", "libx264", {"x264-params": "bframes=0"}, 0),
        ("a.avi", "mpeg4", {}, 2),
        ("a.avi", "mpeg2video", {}, 2),
        ("a.avi", "mjpeg", {}, 0),
        ("a.mkv", "libx264", {"x264-params": "bframes=5:b-adapt=0"}, 5),
        ("a.mpg", "mpeg2video", {}, 2),
        ("a.asf", "mpeg4", {}, 0),
    ],
)
def test_all_pictures_come_in_order_whatever_times_the_container_holds(
    tmp_path: Path, name: str, codec: str, options: dict[str, str], b_frames: int
) -> None:
    container = "vob" if name.endswith("mpg") else None
    path = write(tmp_path / name, codec, options=options, b_frames=b_frames, container=container)
    (clip,) = clips_of(path)
    assert clip.numbers == list(range(75))
    assert clip.fps == RATE
    assert clip.end - clip.start == pytest.approx(3.0, abs=0.001)
    if name.endswith("avi"):
        assert clip.start == 0


def transport(begin: float, first: int, count: int, shot: int, b_frames: int = 0) -> bytes:
    """A transport stream of ``count`` pictures from number ``first`` on, whose clock begins at ``begin`` seconds."""
    file = io.BytesIO()
    keep = {"mpegts_copyts": "1", "avoid_negative_ts": "disabled"}
    with av.open(file, "w", format="mpegts", options=keep) as out:
        stream = out.add_stream(
            "libx264", rate=RATE, options={"crf": "26", "x264-params": f"bframes={b_frames}"}
        )
        stream.width, stream.height, stream.pix_fmt = 224, 144, "yuv420p"
        for k in range(count):
            add(out, stream, picture(first + k, shot), k + round(begin * RATE), RATE)
        out.mux(stream.encode())
    return file.getvalue()


@pytest.mark.parametrize(
    ("first", "second", "b_frames"),
    [(0.0, 0.0, 0), (0.0, 0.0, 3), (10.0, 12.0, 3), (10.0, 4.0, 0), (100.0, 101.52, 3), (2.0, 3700.0, 3)],
)
def test_joined_recordings_keep_all_their_pictures_and_are_parted(
    tmp_path: Path, first: float, second: float, b_frames: int
) -> None:
    path = tmp_path / "joined.ts"
    path.write_bytes(transport(first, 0, 60, 0, b_frames) + transport(second, 60, 75, 1, b_frames))
    clips = clips_of(path)
    assert [clip.numbers for clip in clips] == [list(range(60)), list(range(60, 135))]
    assert all(a.end <= b.start + 1e-6 for a, b in pairwise(clips))
    assert [round(clip.end - clip.start, 3) for clip in clips] == [2.4, 3.0]


@pytest.mark.parametrize("before", [0.4, 2.0])
def test_a_clock_that_wraps_goes_on(tmp_path: Path, before: float) -> None:
    wrap = 2**33 / 90_000
    path = tmp_path / "wraps.ts"
    path.write_bytes(transport(round((wrap - before) * RATE) / RATE, 0, 75, 0))
    (clip,) = clips_of(path)
    assert clip.numbers == list(range(75))
    assert clip.start >= 0
    assert clip.end - clip.start == pytest.approx(3.0, abs=0.01)


@pytest.mark.parametrize(
    ("name", "gap"),
    [("a.ts", 6), ("a.ts", 3500), ("a.mkv", 40), ("a.mp4", 40), ("a.mp4", 3500), ("a.webm", 6)],
)
def test_a_gap_in_the_clock_parts_shots_and_is_in_no_clip(tmp_path: Path, name: str, gap: int) -> None:
    times = [k / RATE + (gap if k >= 60 else 0) for k in range(120)]
    path = write(tmp_path / name, "libvpx" if name.endswith("webm") else "libx264", 120, times=times)
    clips = clips_of(path)
    assert [clip.numbers for clip in clips] == [list(range(60)), list(range(60, 120))]
    assert [clip.shot for clip in clips] == [0, 1]
    assert clips[0].end - clips[0].start == pytest.approx(2.4, abs=0.02)
    assert clips[1].start - clips[0].start == pytest.approx(2.4 + gap, abs=0.02)


def with_last_duration(path: Path, times: list[float], last: float) -> Path:
    """MP4 with pictures at ``times``, the last one stated to be shown for ``last`` seconds."""
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as out:
        stream = out.add_stream("libx264", rate=1000, options={"crf": "26", "x264-params": "bframes=0"})
        stream.width, stream.height, stream.pix_fmt = 224, 144, "yuv420p"
        for k, time in enumerate(times):
            add(out, stream, picture(k), round(time * 1000), 1000)
        out.mux(stream.encode())
    file.seek(0)
    ends = [*times[1:], times[-1] + last]
    with av.open(file) as source, av.open(str(path), "w", options={"video_track_timescale": "90000"}) as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for k, packet in enumerate(p for p in source.demux(source.streams.video[0]) if p.dts is not None):
            packet.time_base, packet.stream = Fraction(1, 90_000), stream
            packet.pts = packet.dts = round(times[k] * 90_000)
            packet.duration = round((ends[k] - times[k]) * 90_000)
            out.mux(packet)
    return path


@pytest.mark.parametrize(
    ("times", "last", "rate"),
    [
        ([k / 25 for k in range(50)], 1.5, 25),
        ([k / 30 for k in range(60)], 0.9, 30),
        ([k * 0.04 + (0.02 if k % 2 else 0) for k in range(40)], 2.0, None),
        ([0.0, 2.5, 5.0], 2.5, None),
        ([0.0, *[1.5 + k / 30 for k in range(60)]], 1 / 30, 30),
        ([*[k / 50 for k in range(100)], *[2 + k / 25 for k in range(20)]], 0.04, 50),
    ],
)
def test_held_pictures_are_held_and_none_is_left_out(
    tmp_path: Path, times: list[float], last: float, rate: int | None
) -> None:
    clips = clips_of(with_last_duration(tmp_path / "held.mp4", times, last))
    shown = [number for clip in clips for number in clip.in_turn]
    assert sorted(set(shown)) == list(range(len(times)))
    assert shown == sorted(shown)
    assert clips[0].start == pytest.approx(0, abs=0.001)
    assert clips[-1].end == pytest.approx(times[-1] + last, abs=0.6 / clips[0].fps)
    assert rate is None or clips[0].fps == pytest.approx(rate, rel=0.001)
    held = [(clip.start + k / clip.fps, number) for clip in clips for k, number in enumerate(clip.numbers)]
    wrong = [abs(times[number] - time) for time, number in held if time <= times[number] + 1e-6]
    assert max(wrong, default=0) <= 0.6 / clips[0].fps


def test_a_variable_rate_in_matroska_shows_each_picture(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    times = np.cumsum([0, *draw.choice([0.033, 0.034, 0.067, 0.3], 70, p=[0.5, 0.3, 0.15, 0.05])]).tolist()
    clips = clips_of(write(tmp_path / "vfr.mkv", "libx264", 71, times=times))
    assert [number for clip in clips for number in clip.in_turn] == list(range(71))
    assert clips[0].fps == pytest.approx(30, rel=0.02)


@pytest.mark.parametrize(
    ("name", "codec", "begin"),
    [
        ("a.webm", "libvpx", 3700.0),
        ("a.mkv", "libx264", 3700.0),
        ("a.mkv", "mpeg4", 3.2),
        ("a.mp4", "libx264", 3700.0),
        ("a.ts", "libx264", 3700.0),
        ("a.flv", "libx264", 100.0),
    ],
)
def test_a_late_start_is_no_length(tmp_path: Path, name: str, codec: str, begin: float) -> None:
    times = [begin + k / RATE for k in range(75)]
    (clip,) = clips_of(write(tmp_path / name, codec, times=times, mux={"avoid_negative_ts": "disabled"}))
    assert clip.numbers == list(range(75))
    assert clip.end - clip.start == pytest.approx(3.0, abs=0.02)


def test_soft_telecine_is_written_at_the_rate_of_its_pictures(tmp_path: Path) -> None:
    """24 pictures a second whose time stamps follow fields: three, then two sixtieths apart."""
    times = [(k * 5 // 2 + k % 2) * 0.5 / 30 * 1001 / 1000 for k in range(72)]
    (clip,) = clips_of(write(tmp_path / "film.mkv", "libx264", 72, times=times))
    assert clip.numbers == list(range(72))
    assert clip.fps == pytest.approx(24000 / 1001, rel=0.002)


@pytest.mark.parametrize("name", ["a.ts", "a.mpg"])
def test_a_stream_that_begins_within_an_open_group_shows_none_of_the_one_before(
    tmp_path: Path, name: str
) -> None:
    whole = write(tmp_path / "whole.mkv", "mpeg2video", 100, b_frames=2, gop=12, shots=[0] * 24 + [1] * 76)
    path = tmp_path / name
    with (
        av.open(str(whole)) as source,
        av.open(str(path), "w", format="vob" if name == "a.mpg" else None) as out,
    ):
        stream = out.add_stream_from_template(source.streams.video[0])
        packets = [p for p in source.demux(source.streams.video[0]) if p.dts is not None]
        key = next(k for k, p in enumerate(packets) if k > 0 and p.is_keyframe)
        first = packets[key].pts
        for packet in packets[key - 4 :]:
            packet.stream = stream
            out.mux(packet)
    with av.open(str(whole)) as source:
        begin = round(float(first * source.streams.video[0].time_base) * RATE)
    clips = clips_of(path)
    shown = [number for clip in clips for number in clip.numbers]
    assert shown == list(range(begin, 100)) or shown == list(range(shown[0], 100))
    assert begin - 3 <= shown[0] <= begin


def test_time_that_goes_back_within_a_group_of_pictures_is_said_with_its_second(tmp_path: Path) -> None:
    path = tmp_path / "joined.ts"
    second = transport(0.0, 60, 75, 1)
    half = write(tmp_path / "half.ts", "libx264", 60, options={"x264-params": "bframes=0:keyint=250"})
    with av.open(str(half)) as source, av.open(str(path), "w", format="mpegts") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in [p for p in source.demux(source.streams.video[0]) if p.dts is not None][20:]:
            packet.stream = stream
            out.mux(packet)
    path.write_bytes(second + path.read_bytes())
    with pytest.raises(StageError, match=r"time goes back at 2\.96 s"):
        clips_of(path)
