"""Decoded frames as a viewer sees them: upright, with square pixels, high dynamic range rolled off, each with its time.

Runs in the child process (`hummingbird_data.reading.child`): the bytes are not trusted.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from hummingbird_data.reading.hdr import is_hdr, to_sdr
from hummingbird_data.reading.probe import Limits, VideoInfo, open_video
from hummingbird_data.stage import StageError

# Share of the declared frames (or of the duration) that must decode, or the file counts as truncated.
_COMPLETE = 0.97


@dataclass(frozen=True)
class Frame:
    """``time`` in seconds as stamped in the file (a delayed start stays delayed); ``rgb`` uint8 (H, W, 3).

    ``luma``: a larger grey picture (H, W) of the same frame, where one was asked for.
    """

    time: float
    rgb: NDArray[np.uint8]
    luma: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class LumaSettings:
    """Grey pictures beside the frames: one in ``every``, with a shorter side of at most ``short_side``."""

    every: int
    short_side: int = 480


def decode(
    path: Path, info: VideoInfo, limits: Limits, short_side: int, luma: LumaSettings | None = None
) -> Iterator[Frame]:
    """Yields every frame in order of time, its shorter side at most ``short_side``, both sides even.

    What is transparent is shown before black.
    Raises `StageError` for a stream that cannot be decoded, ends early or outgrows the limits.
    """
    size = fitted(info, short_side)
    decoded, count, last = 0, 0, float("-inf")
    first = None
    container, stream = open_video(path)
    with container:
        stream.codec_context.thread_count = 1  # the cluster's cores are shared out by Ray
        try:
            for frame in _decoded(container, stream, counted=bool(info.frames or info.seconds)):
                decoded += 1
                time = frame.time if frame.time is not None else last + 1 / float(info.fps)
                if not time > last:
                    continue  # a repeated time stamp: nobody would see this frame
                if frame.is_corrupt:
                    raise StageError("decode", f"damaged picture at {time:.2f} s")
                count += 1
                if count > limits.frames or (first is not None and time - first > limits.seconds):
                    raise StageError("decode", f"longer than the limit ({count} frames, {time:.0f} s)")
                first = time if first is None else first
                last = time
                if frame.width * frame.height > limits.pixels:
                    raise StageError(
                        "decode", f"grows to {frame.width}x{frame.height} pixels at {time:.2f} s"
                    )
                grey = None
                if luma is not None and (count - 1) % luma.every == 0:
                    grey = _upright(_picture(frame, fitted(info, luma.short_side), "gray"), frame.rotation)
                yield Frame(time, _upright(_opaque(frame, size), frame.rotation), grey)
        except av.error.FFmpegError as error:
            reason = error.strerror or type(error).__name__
            raise StageError("decode", f"{reason} after {count} frames") from error
    if count == 0 or first is None:
        raise StageError("decode", "no frame could be decoded")
    _check_complete(info, decoded, first, last)


def _decoded(container: Any, stream: Any, counted: bool) -> Iterator[av.VideoFrame]:
    """The pictures of a stream. Of a file whose pictures are ``counted`` in the end, a packet that cannot be decoded is
    passed over: the last one of a file that was cut off often cannot."""
    for packet in container.demux(stream):
        try:
            yield from packet.decode()
        except av.error.InvalidDataError:
            if not counted:
                raise


def fitted(info: VideoInfo, short_side: int) -> tuple[int, int]:
    """Width and height to decode at (before rotation): square pixels, never enlarged, both even."""
    width, height = float(info.width * info.pixel_aspect), float(info.height)
    scale = min(1.0, short_side / min(width, height))
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)


def _picture(frame: av.VideoFrame, size: tuple[int, int], kind: str) -> NDArray[np.uint8]:
    hdr = is_hdr(frame)
    layout = "rgb48le" if hdr else kind
    # With more threads each frame starts its own, which takes longer than the work.
    made = frame.reformat(
        width=size[0], height=size[1], format=layout, interpolation="AREA", threads=1
    ).to_ndarray()
    if not hdr:
        return made.astype(np.uint8, copy=False)
    rgb = to_sdr(made, int(frame.color_trc))
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY) if kind == "gray" else rgb


def _opaque(frame: av.VideoFrame, size: tuple[int, int]) -> NDArray[np.uint8]:
    """RGB; a transparent picture before black, as players show it."""
    if is_hdr(frame) or not any(part.is_alpha for part in frame.format.components):
        return _picture(frame, size, "rgb24")
    rgba = _picture(frame, size, "rgba").astype(np.uint16)
    return ((rgba[..., :3] * rgba[..., 3:] + 127) // 255).astype(np.uint8)


def _upright(rgb: NDArray[np.uint8], degrees: int) -> NDArray[np.uint8]:
    """Turned as the file's display matrix asks; PyAV gives the angle anticlockwise."""
    return np.ascontiguousarray(np.rot90(rgb, round(degrees / 90) % 4))


def _check_complete(info: VideoInfo, count: int, first: float, last: float) -> None:
    # A file that was cut without coding it anew holds frames before its start, which its edit list hides.
    shown = min(info.frames, float(info.fps) * info.seconds) if info.seconds else info.frames
    if count < _COMPLETE * shown:
        raise StageError("decode", f"truncated: {count} of {round(shown)} frames could be decoded")
    # Matroska's duration begins at 0, the others' at their first frame.
    seconds = last if "matroska" in info.container else last - first
    if not info.frames and info.seconds and seconds + 1 < _COMPLETE * info.seconds:
        raise StageError("decode", f"truncated: {seconds:.1f} of {info.seconds:.1f} seconds could be decoded")
