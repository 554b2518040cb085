"""What a video file says about itself, read before anything is decoded.

Runs in the child process (`hummingbird_data.reading.child`): the bytes are not trusted.
"""

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from hummingbird_data.reading.packets import Survey, Track, candidates, film, survey
from hummingbird_data.reading.structure import structure
from hummingbird_data.reading.timeline import rate_of, shown_seconds
from hummingbird_data.stage import StageError

# FFmpeg's names. Containers that only point to other files (playlists, concat scripts) stay out.
CONTAINERS = ("mov", "matroska", "avi", "mpegts", "flv", "ogg", "mpeg", "asf")
CODECS = (
    "h264", "hevc", "vp8", "vp9", "av1", "libdav1d", "mpeg4", "mpeg2video", "mpeg1video", "prores", "mjpeg", "theora",
    "wmv1", "wmv2", "wmv3", "vc1", "msmpeg4",
)  # fmt: skip
# First bytes of containers that are not read, for the sentence that refuses them.
_OTHERS = {
    b"GIF8": "GIF",
    b".RMF": "RealMedia",
    b"\x06\x0e\x2b\x34\x02\x05\x01\x01": "MXF",
    b"\xb7\xd8\x00\x20\x37\x49\xda\x11": "WTV",
    b"nut/multimedia container": "NUT",
    b"DKIF": "IVF",
    b"YUV4MPEG2": "YUV4MPEG",
    b"FWS": "SWF",
    b"CWS": "SWF",
    b"\x1f\x07\x00": "DV",
    b"\x00\x00\x01\xb3": "a bare MPEG video stream",
    b"\x00\x00\x00\x01": "a bare video stream",
    b"#EXTM3U": "a playlist",
    b"<?xml": "XML",
}


@dataclass(frozen=True)
class Limits:
    """What a source may be at most; its shorter side is at least ``side`` pixels.

    ``hold``: seconds that one picture is shown at most; a longer step of the clock is a gap (see `timeline`).
    """

    megabytes: float = 4096.0
    seconds: float = 3600.0
    pixels: int = 4096 * 2304
    frames: int = 250_000
    hold: float = 4.0
    side: int = 32


@dataclass(frozen=True)
class VideoInfo:
    """The chosen video stream. Sizes are of the decoded picture, before rotation and pixel aspect.

    ``frames`` is what the file declares, 0 where it does not; ``seconds`` is how long pictures are shown, gaps of the
    clock aside; ``fps`` is the rate that its pictures are written at. ``damaged_at``: the second at which the container
    itself is damaged.
    """

    container: str
    codec: str
    width: int
    height: int
    pixel_aspect: Fraction
    fps: Fraction
    frames: int
    seconds: float
    track: Track = field(default_factory=lambda: Track(0))
    damaged_at: float | None = None

    @property
    def megapixels(self) -> float:
        """Of all pictures together."""
        return self.width * self.height * self.track.count / 1e6


def open_video(path: Path) -> InputContainer:
    """Opens a file. Raises `StageError`."""
    options = {"format_whitelist": ",".join(_demuxers()), "protocol_whitelist": "file"}
    try:
        return av.open(str(path), options=options, metadata_errors="replace")
    except av.error.FFmpegError as error:
        other = _other_container(path)
        why = f"{other} is not among {', '.join(CONTAINERS)}" if other else _reason(error)
        raise StageError("probe", f"no video that can be opened ({why})") from error


def probe(path: Path, limits: Limits) -> VideoInfo:
    """Checks a file against the allow-lists and limits, and reads its packets. Raises `StageError` that says what
    failed."""
    try:
        size = path.stat().st_size
    except OSError as error:
        raise StageError("probe", f"the file cannot be read ({error.strerror})") from error
    if size == 0:
        raise StageError("probe", "the file is empty")
    if size > limits.megabytes * 1e6:
        raise StageError("probe", f"{size / 1e6:.0f} MB, over the limit of {limits.megabytes:.0f}")
    with open_video(path) as container:
        streams = candidates(container, CODECS)
        if not streams:
            kinds = ", ".join(sorted({s.type for s in container.streams})) or "nothing"
            raise StageError("probe", f"no video stream (the file holds {kinds})")
        for stream in streams:
            _check_stream(stream, limits)
        found = survey(container, streams, limits.frames)
        stream = film(container, streams, found)
        _check_size(stream, limits)
        return _info(path, container, stream, found, limits)


def _check_stream(stream: VideoStream, limits: Limits) -> None:
    codec = stream.codec_context.codec.name if stream.codec_context else "unknown"
    if codec not in CODECS:
        raise StageError("probe", f"codec {codec} is not among {', '.join(CODECS)}")
    if stream.frames > limits.frames:
        raise StageError("probe", f"{stream.frames} frames, over the limit of {limits.frames}")


def _check_size(stream: VideoStream, limits: Limits) -> None:
    width, height = stream.codec_context.width, stream.codec_context.height
    if width <= 0 or height <= 0:
        raise StageError("probe", "the video stream has no picture size")
    if width * height > limits.pixels:
        raise StageError("probe", f"{width}x{height} pixels, over the limit of {limits.pixels}")
    if min(width, height) < limits.side:
        raise StageError("probe", f"{width}x{height} pixels, less than {limits.side} on a side")


def _info(
    path: Path, container: InputContainer, stream: VideoStream, found: Survey, limits: Limits
) -> VideoInfo:
    track = found.tracks[stream.index]
    shape = structure(path, container.format.name)
    broken = shape.damaged_at if shape.damaged_byte is None else track.time_at(shape.damaged_byte)
    told = shape.complete or broken is not None  # then a stated length has nothing to add
    cut_off = shape.cut_off or (None if told else found.cut_off)
    if cut_off:
        raise StageError("decode", f"truncated: the file was cut off, {cut_off}")
    declared = [
        Fraction(rate) for rate in (stream.base_rate, stream.average_rate, stream.guessed_rate) if rate
    ]
    fps = rate_of(track.shown, track.tick, declared, limits.hold)
    # Transport streams may carry the two fields of an interlaced picture as packets of their own.
    if (
        stream.guessed_rate
        and "mpegts" in container.format.name
        and abs(fps / stream.guessed_rate - 2) < 0.02
    ):
        fps /= 2
    seconds = shown_seconds(track.shown, float(1 / fps), limits.hold)
    if seconds > limits.seconds:
        raise StageError("probe", f"{seconds:.0f} s, over the limit of {limits.seconds:.0f}")
    aspect = stream.sample_aspect_ratio or Fraction(1)
    damaged = [at for at in (broken, found.broken_at) if at is not None]
    return VideoInfo(
        container=container.format.name,
        codec=stream.codec_context.codec.name,
        width=stream.codec_context.width,
        height=stream.codec_context.height,
        pixel_aspect=aspect if Fraction(1, 4) <= aspect <= 4 else Fraction(1),
        fps=fps,
        frames=stream.frames,
        seconds=seconds,
        track=track,
        damaged_at=min(damaged) if damaged else None,
    )


def _demuxers() -> list[str]:
    names = {
        "mov": "mov,mp4,m4a,3gp,3g2,mj2",
        "matroska": "matroska,webm",
    }
    return [names.get(name, name) for name in CONTAINERS]


def _other_container(path: Path) -> str | None:
    """The name of a container that is not read, where its first bytes tell it."""
    with path.open("rb") as file:
        head = file.read(32)
    return next((name for first, name in _OTHERS.items() if head.startswith(first)), None)


def _reason(error: av.error.FFmpegError) -> str:
    return error.strerror or type(error).__name__
