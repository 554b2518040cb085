"""A source file to clip files: probe, decode, shots, clips. Runs in the child process.

The file is decoded twice, once to find the shots and once to write the clips, so memory does not grow with
its length and nothing is written for a file that cannot be read to its end.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import cv2

from hummingbird_data.reading.borders import Profile, shot_boxes
from hummingbird_data.reading.clips import ClipSettings, cut_windows, write_clips
from hummingbird_data.reading.combing import Combing
from hummingbird_data.reading.decode import LumaSettings, decode
from hummingbird_data.reading.probe import Limits, probe
from hummingbird_data.reading.shots import ShotSettings, find_shots
from hummingbird_data.reading.timeline import Frame, steady
from hummingbird_data.runtime.metrics import Stopwatch

_SHOT_SIDE = 72  # pixels: enough to find a cut, and noise averages out
_LOOKS = 2.5  # a second: how often borders are looked for


def workload(path: str, limits: dict[str, Any]) -> dict[str, Any]:
    """JSON: the ``megapixels`` of all pictures of the video at ``path``.

    Raises `StageError` for what cannot be read.
    """
    return {"megapixels": probe(Path(path), Limits(**limits)).megapixels}


def extract(
    path: str, folder: str, limits: dict[str, Any], shots: dict[str, Any], clips: dict[str, Any]
) -> dict[str, Any]:
    """Writes the clips of the video at ``path`` to ``folder``, named by their order.

    Returns JSON: the frames a second (``fps``) of the clips, the seconds of ``decoding`` and, for each of ``clips``,
    its file, times, size and frame count. Raises `StageError` for what cannot be read.
    """
    cv2.setNumThreads(1)  # the cluster's cores are shared out by Ray
    watch = Stopwatch()
    source, cutting = Path(path), ClipSettings(**clips)
    bounds = replace(Limits(**limits), hold=cutting.max_seconds)
    info = probe(source, bounds)
    times: list[float] = []
    profiles: list[tuple[int, Profile]] = []
    combing = Combing()
    looks = LumaSettings(max(1, round(float(info.fps) / _LOOKS)), cutting.short_side)

    def film(frames: Iterator[Frame]) -> Iterator[Frame]:
        return steady(watch.each(frames), info.fps, bounds.hold)

    def small(part: Iterator[Frame]) -> Iterator[Any]:
        for frame in part:
            if frame.luma is not None:
                profiles.append((len(times), Profile.of(frame.luma)))
            times.append(frame.time)
            yield frame.time, frame.rgb

    found: list[tuple[int, int]] = []
    pictures = film(decode(source, info, bounds, _SHOT_SIDE, looks, combing))
    for _, part in groupby(pictures, lambda frame: frame.part):
        begin = len(times)
        in_part = find_shots(small(part), ShotSettings(**shots))
        found += [(begin + first, begin + stop) for first, stop in in_part]
    windows = cut_windows(found, times, info.fps, cutting)
    half = 0.5 / float(info.fps)
    fields = combing.fields([(times[first] - half, times[stop - 1] + half) for first, stop in found])
    frames = film(decode(source, info, bounds, cutting.short_side, fields=fields))
    boxes = shot_boxes(found, profiles)
    written = write_clips(frames, windows, info.fps, Path(folder), cutting, boxes)
    return {
        "fps": float(info.fps),
        "decoding": watch.seconds,
        "clips": [
            {
                "file": clip.path.name,
                "shot_index": clip.window.shot_index,
                "start_seconds": clip.window.start,
                "end_seconds": clip.window.end,
                "width": clip.width,
                "height": clip.height,
                "num_frames": clip.frames,
            }
            for clip in written
        ],
    }
