"""A source file to clip files: probe, decode, shots, clips. Runs in the child process.

The file is decoded twice, once to find the shots and once to write the clips, so memory does not grow with
its length and nothing is written for a file that cannot be read to its end.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2

from hummingbird_data.reading.borders import Profile, shot_boxes
from hummingbird_data.reading.clips import ClipSettings, cut_windows, write_clips
from hummingbird_data.reading.decode import LumaSettings, decode
from hummingbird_data.reading.probe import Limits, probe
from hummingbird_data.reading.shots import ShotSettings, find_shots
from hummingbird_data.runtime.metrics import Stopwatch

_SHOT_SIDE = 72  # pixels: enough to find a cut, and noise averages out
_LOOKS = 2.5  # a second: how often borders are looked for


def extract(
    path: str, folder: str, limits: dict[str, Any], shots: dict[str, Any], clips: dict[str, Any]
) -> dict[str, Any]:
    """Writes the clips of the video at ``path`` to ``folder``, named by their order.

    Returns JSON: the video's ``info``, the seconds of ``decoding`` and, for each of ``clips``, its file, times,
    size and frame count.
    Raises `StageError` for what cannot be read.
    """
    cv2.setNumThreads(1)  # the cluster's cores are shared out by Ray
    watch = Stopwatch()
    source, bounds, cutting = Path(path), Limits(**limits), ClipSettings(**clips)
    info = probe(source, bounds)
    times: list[float] = []
    profiles: list[tuple[int, Profile]] = []
    looks = LumaSettings(max(1, round(float(info.fps) / _LOOKS)), cutting.short_side)

    def small() -> Any:
        for index, frame in enumerate(watch.each(decode(source, info, bounds, _SHOT_SIDE, looks))):
            times.append(frame.time)
            if frame.luma is not None:
                profiles.append((index, Profile.of(frame.luma)))
            yield frame.time, frame.rgb

    found = find_shots(small(), ShotSettings(**shots))
    windows = cut_windows(found, times, info.fps, cutting)
    frames = watch.each(decode(source, info, bounds, cutting.short_side))
    boxes = shot_boxes(found, profiles)
    written = write_clips(frames, windows, info.fps, Path(folder), cutting, boxes)
    return {
        "info": {**asdict(info), "fps": float(info.fps), "pixel_aspect": float(info.pixel_aspect)},
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
