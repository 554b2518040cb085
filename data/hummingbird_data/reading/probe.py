"""What a video file says about itself, read before anything is decoded.

Runs in the child process (`hummingbird_data.reading.child`): the bytes are not trusted.
"""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from hummingbird_data.stage import StageError

# FFmpeg's names. Containers that only point to other files (playlists, concat scripts) stay out.
CONTAINERS = ("mov", "matroska", "avi", "mpegts", "flv", "ogg")
CODECS = ("h264", "hevc", "vp8", "vp9", "av1", "libdav1d", "mpeg4", "mpeg2video", "prores", "mjpeg", "theora")


@dataclass(frozen=True)
class Limits:
    """What a source may be at most."""

    megabytes: float = 4096.0
    seconds: float = 3600.0
    pixels: int = 4096 * 2304
    frames: int = 250_000


@dataclass(frozen=True)
class VideoInfo:
    """The chosen video stream. Sizes are of the decoded picture, before rotation and pixel aspect.

    ``frames`` and ``seconds`` are what the file declares, 0 where it does not.
    """

    container: str
    codec: str
    width: int
    height: int
    pixel_aspect: Fraction
    fps: Fraction
    frames: int
    seconds: float


def open_video(path: Path) -> tuple[InputContainer, VideoStream]:
    """Opens a file with its best video stream, pictures of cover art aside. Raises `StageError`."""
    options = {"format_whitelist": ",".join(_demuxers()), "protocol_whitelist": "file"}
    try:
        container = av.open(str(path), options=options, metadata_errors="replace")
    except av.error.FFmpegError as error:
        raise StageError("probe", f"no video that can be opened ({_reason(error)})") from error
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        kinds = ", ".join(sorted({s.type for s in container.streams})) or "nothing"
        container.close()
        raise StageError("probe", f"no video stream (the file holds {kinds})")
    best = container.streams.best("video")
    return container, best if best in streams else streams[0]


def probe(path: Path, limits: Limits) -> VideoInfo:
    """Checks a file against the allow-lists and limits. Raises `StageError` that says which one failed."""
    try:
        size = path.stat().st_size
    except OSError as error:
        raise StageError("probe", f"the file cannot be read ({error.strerror})") from error
    if size == 0:
        raise StageError("probe", "the file is empty")
    if size > limits.megabytes * 1e6:
        raise StageError("probe", f"{size / 1e6:.0f} MB, over the limit of {limits.megabytes:.0f}")
    container, stream = open_video(path)
    with container:
        codec = stream.codec_context.codec.name
        if codec not in CODECS:
            raise StageError("probe", f"codec {codec} is not among {', '.join(CODECS)}")
        width, height = stream.codec_context.width, stream.codec_context.height
        if width <= 0 or height <= 0:
            raise StageError("probe", "the video stream has no picture size")
        if width * height > limits.pixels:
            raise StageError("probe", f"{width}x{height} pixels, over the limit of {limits.pixels}")
        rate = stream.average_rate or stream.guessed_rate
        if not rate or not 1 <= rate <= 240:
            raise StageError("probe", f"frame rate {rate}, not between 1 and 240")
        seconds = _duration(container, stream)
        if seconds > limits.seconds:
            raise StageError("probe", f"{seconds:.0f} s, over the limit of {limits.seconds:.0f}")
        if stream.frames > limits.frames:
            raise StageError("probe", f"{stream.frames} frames, over the limit of {limits.frames}")
        aspect = stream.sample_aspect_ratio or Fraction(1)
        return VideoInfo(
            container=container.format.name,
            codec=codec,
            width=width,
            height=height,
            pixel_aspect=aspect if Fraction(1, 4) <= aspect <= 4 else Fraction(1),
            fps=Fraction(rate).limit_denominator(1001),
            frames=stream.frames,
            seconds=seconds,
        )


def _duration(container: InputContainer, stream: VideoStream) -> float:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return container.duration / 1e6 if container.duration else 0.0


def _demuxers() -> list[str]:
    names = {
        "mov": "mov,mp4,m4a,3gp,3g2,mj2",
        "matroska": "matroska,webm",
    }
    return [names.get(name, name) for name in CONTAINERS]


def _reason(error: av.error.FFmpegError) -> str:
    return error.strerror or type(error).__name__
