"""Decoded frames as a viewer sees them: upright, with square pixels, high dynamic range rolled off, each with its time.

What is damaged has one outcome, whatever the codec: the file is refused, with the second. A decoder that hides damage
goes on with smeared pictures for seconds, which no flag marks. Only the very last packet may be: of a file that was
cut off it often is.

Runs in the child process (`hummingbird_data.reading.child`): the bytes are not trusted.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
from av.container import InputContainer
from numpy.typing import NDArray

from hummingbird_data.reading.combing import Combing, Deinterlacer, Field, Unflagged
from hummingbird_data.reading.hdr import is_hdr, to_sdr
from hummingbird_data.reading.probe import Limits, VideoInfo, open_video
from hummingbird_data.reading.timeline import Frame, Times, in_order
from hummingbird_data.stage import StageError

# Share of the pictures that the file's own table has which must decode, or the file counts as truncated.
_COMPLETE = 0.97
# Decoders that stop at damage which the ones that FFmpeg prefers step over.
_STRICT = {"vp9": "libvpx-vp9"}
_BITS = {"err_detect": "bitstream+buffer+explode"}  # that are left over, or that overflow
_STRICT_OPTIONS = {
    "mjpeg": {"err_detect": "explode"},
    "msmpeg4": _BITS,
    "msmpeg4v1": _BITS,
    "msmpeg4v2": _BITS,
    "wmv1": _BITS,
    "wmv2": _BITS,
}


@dataclass(frozen=True)
class LumaSettings:
    """Gray pictures beside the frames: one in ``every``, with a shorter side of at most ``short_side``."""

    every: int
    short_side: int = 480


def decode(
    path: Path,
    info: VideoInfo,
    limits: Limits,
    short_side: int,
    luma: LumaSettings | None = None,
    combing: Combing | None = None,
    fields: Sequence[Field] = (),
) -> Iterator[Frame]:
    """Yields every frame in order of time, its shorter side at most ``short_side``, both sides even.

    What is transparent is shown before black. ``combing`` sees all pictures; those of ``fields`` are deinterlaced.
    Raises `StageError` for a stream that cannot be decoded, ends early or outgrows the limits.
    """
    size = fitted(info, short_side)
    count, last = 0, float("-inf")
    track, unflagged = info.track, Unflagged()

    def made() -> Iterator[Frame]:
        nonlocal count
        with open_video(path) as container:
            for picture, place in _whole(_pictures(container, info, limits), fields, track.times):
                time = float(track.times[place])
                if combing is not None:
                    combing.see(picture, time)
                frame = unflagged.of(picture)
                gray = None
                if luma is not None and count % luma.every == 0:
                    gray = _upright(_picture(frame, fitted(info, luma.short_side), "gray"), frame)
                count += 1
                part = int(np.searchsorted(track.joints, place, "right"))
                rgb = _upright(_opaque(frame, size), frame)
                yield Frame(time, rgb, gray, float(track.durations[place]), part)

    for frame in in_order(made()):
        if frame.time > last:  # a repeated time stamp: nobody would see this frame
            last = frame.time
            yield frame
    if info.damaged_at is not None:  # what decoders find says the second better
        raise _damage(info.damaged_at)
    if count == 0:
        raise StageError("decode", "no frame could be decoded")
    shown = len(track.shown) + track.missing
    if track.missing and count < _COMPLETE * shown:
        raise StageError("decode", f"truncated: {count} of {shown} frames could be decoded")


Picture = tuple[av.VideoFrame, int]
"""A decoded picture, and the number of the packet that it came in."""


def _whole(pictures: Iterator[Picture], fields: Sequence[Field], times: Times) -> Iterator[Picture]:
    """The pictures, those of ``fields`` deinterlaced."""
    if not fields:
        yield from pictures
        return
    deinterlacer = Deinterlacer(fields)
    for frame, place in pictures:
        yield from deinterlacer.push(frame, place, float(times[place]))
    yield from deinterlacer.end()


def _pictures(container: InputContainer, info: VideoInfo, limits: Limits) -> Iterator[Picture]:
    """The pictures of the film in the order in which they are shown. Raises `StageError` for damage."""
    track = info.track
    stream = container.streams[track.index]
    codec = stream.codec_context
    codec.thread_count = 1  # the cluster's cores are shared out by Ray
    codec.options = _STRICT_OPTIONS.get(info.codec, {})
    check = _Strict(info.codec, codec)
    begin, place = float(track.times[track.first_key]), -1
    waiting: dict[
        int | None, int
    ] = {}  # packets in the decoder, by the time stamps that their pictures will have

    def shown(frames: Sequence[av.VideoFrame]) -> Iterator[Picture]:
        for frame in frames:
            number = waiting.pop(frame.pts if frame.pts in waiting else next(iter(waiting), None), place)
            time = float(track.times[number])
            # Of a stream that begins within a group of pictures, those before the first whole one lack others.
            if frame.is_corrupt and (number == track.count - 1 or time < begin):
                continue
            if frame.is_corrupt:
                raise _damage(time)
            if frame.width * frame.height > limits.pixels:
                raise StageError("decode", f"grows to {frame.width}x{frame.height} pixels at {time:.2f} s")
            yield frame, number

    for number in track.damaged:
        if track.first_key <= number:
            raise _damage(float(track.times[number]))
    for packet in container.demux(stream):
        if not packet.size:
            continue
        place += 1
        if place >= track.count:
            raise StageError("decode", "the file changed while it was read")
        if place < track.first_key:
            continue
        try:
            if place in track.joints:
                yield from shown(codec.decode(None))
                codec.flush_buffers()
                waiting.clear()
            waiting[packet.pts] = place
            check.see(packet)
            yield from shown(codec.decode(packet))
        except av.error.FFmpegError as error:
            if place != track.count - 1:
                raise _damage(float(track.times[place])) from error
    try:
        yield from shown(codec.decode(None))
    except av.error.EOFError:
        return
    except av.error.FFmpegError as error:
        raise _damage(float(track.times[-1])) from error


class _Strict:
    """A second decoder beside one that steps over damage; its pictures are not used."""

    def __init__(self, codec: str, context: av.VideoCodecContext) -> None:
        self._decoder = None
        # libvpx is often built without the kinds of more than 8 bits.
        if codec in _STRICT and all(part.bits == 8 for part in context.format.components):
            self._decoder = av.CodecContext.create(_STRICT[codec], "r")
            self._decoder.extradata = context.extradata
            self._decoder.thread_count = 1

    def see(self, packet: av.Packet) -> None:
        """Raises FFmpegError for damage."""
        if self._decoder is not None:
            self._decoder.decode(packet)


def _damage(seconds: float) -> StageError:
    return StageError("decode", f"damaged picture at {seconds:.2f} s")


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


def _upright(picture: NDArray[np.uint8], frame: av.VideoFrame) -> NDArray[np.uint8]:
    """Turned and mirrored as the display matrix of the file or of the bitstream asks, to the nearest quarter.

    The matrix (ISO/IEC 14496-12) takes the stored place (x, y) to (a x + c y, b x + d y).
    """
    found = frame.side_data.get("DISPLAYMATRIX")
    if found is None:
        return np.ascontiguousarray(picture)
    a, b, _, c, d = np.frombuffer(found, np.int32)[:5].tolist()
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return np.ascontiguousarray(picture[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])
    turned = np.swapaxes(picture, 0, 1)
    return np.ascontiguousarray(turned[:: -1 if b < 0 else 1, :: -1 if c < 0 else 1])
