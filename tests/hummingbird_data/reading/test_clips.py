"""Windows have the right lengths, and clips hold the frames of their window at a constant rate."""

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
from hummingbird_data.reading.clip_frames import clip_frames
from hummingbird_data.reading.clips import ClipSettings, cut_windows, write_clips
from hummingbird_data.reading.decode import Frame

FPS = Fraction(24)


def windows(lengths: list[int], settings: ClipSettings) -> list:
    edges = np.cumsum([0, *lengths]).tolist()
    times = [5 + frame / 24 for frame in range(edges[-1])]
    return cut_windows(list(pairwise(edges)), times, FPS, settings)


def test_long_shots_are_split_evenly_and_short_ones_stay_whole() -> None:
    settings = ClipSettings(min_seconds=2, max_seconds=4)
    made = windows([24, 96, 97, 300], settings)
    assert [(w.shot_index, w.stop - w.first) for w in made] == [
        (0, 24), (1, 96), (2, 48), (2, 49), (3, 75), (3, 75), (3, 75), (3, 75)
    ]  # fmt: skip
    assert made[0].start == 5.0
    assert made[-1].end == 5 + 517 / 24
    assert [w.first for w in made][1:] == [w.stop for w in made][:-1]


def test_a_split_leaves_a_rest_over_where_even_parts_would_be_too_short() -> None:
    settings = ClipSettings(min_seconds=2, max_seconds=2.5)
    made = windows([62, 82, 120], settings)  # 2.6, 3.4 and 5 s
    assert [(w.shot_index, w.stop - w.first) for w in made] == [(0, 60), (1, 60), (2, 60), (2, 60)]


def test_a_window_before_a_gap_of_the_clock_ends_with_its_last_frame() -> None:
    times = [*(frame / 24 for frame in range(48)), *(40 + frame / 24 for frame in range(48))]
    made = cut_windows([(0, 48), (48, 96)], times, FPS, ClipSettings())
    assert [(w.start, round(w.end, 6)) for w in made] == [(0.0, 2.0), (40.0, 42.0)]


def test_clips_hold_their_window_and_the_same_frames_give_the_same_bytes(
    tmp_path: Path, shot: Callable
) -> None:
    rgb = shot(1, seconds=3)
    frames = [Frame(index / 24, picture) for index, picture in enumerate(rgb)]
    settings = ClipSettings(min_seconds=1, max_seconds=2, crf=1)
    cut = cut_windows([(0, 72)], [f.time for f in frames], FPS, settings)
    written = write_clips(iter(frames), cut, FPS, tmp_path, settings)
    assert [(clip.frames, clip.width, clip.height) for clip in written] == [(36, 160, 128), (36, 160, 128)]
    (tmp_path / "again").mkdir()
    again = write_clips(iter(frames), cut, FPS, tmp_path / "again", settings)
    assert [c.path.read_bytes() for c in written] == [c.path.read_bytes() for c in again]
    read, fps = clip_frames({"storage": str(tmp_path), "media_path": written[1].path.name})
    assert fps == 24
    assert np.abs(read.astype(int) - rgb[36:]).mean() < 3


def test_a_variable_rate_becomes_constant(tmp_path: Path) -> None:
    times = [0.0, 0.25, 0.45, 1.0]  # at 4 a second the third is held until the fourth
    frames = [Frame(time, np.full((32, 32, 3), 60 * number, np.uint8)) for number, time in enumerate(times)]
    settings = ClipSettings(crf=1)
    cut = cut_windows([(0, 4)], times, Fraction(4), settings)
    (clip,) = write_clips(iter(frames), cut, Fraction(4), tmp_path, settings)
    read, _ = clip_frames({"storage": str(tmp_path), "media_path": clip.path.name})
    assert (read.mean((1, 2, 3)) / 60).round().astype(int).tolist() == [0, 1, 2, 2, 3]
