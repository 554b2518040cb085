"""What lies in a file, packet by packet, before anything is decoded: which stream is the film, and its clock.

Runs in the child process (`hummingbird_data.reading.child`): the bytes are not trusted.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream
from numpy.typing import NDArray

from hummingbird_data.reading.timeline import Times
from hummingbird_data.stage import StageError

_FEW = 0.5  # a stream with fewer pictures than this share of another's is a still, or its thumbnails
_STILL = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
_JUMP = 1.0  # seconds: where the clock of decoding leaps by more, one recording ends and another begins
_LATE = 3  # packets by which a demuxer notices late that transport packets are missing
_ABSURD = 100.0  # a stated length that is longer than what is there by this factor is no length


@dataclass
class Track:
    """The packets of a video stream, in order of coding, numbered from 0; empty ones do not count.

    ``times`` and ``durations`` in seconds, on a clock that does not go back: where the file's does, the next packet
    is one of ``joints``, and what follows has its times moved behind what came before. ``hidden``: of an edit list,
    not shown. ``places``: bytes of the file at which they begin, -1 for unknown. ``first_key``: the first packet from
    which a decoder can begin. ``damaged``: numbers of packets that the demuxer found damaged, but for the last ones of
    a recording: there the count of transport packets ends as well. ``missing``: packets that the file's own table has
    beyond those that are there.
    """

    index: int
    tick: float = 0.0
    times: Times = field(default_factory=lambda: np.zeros(0))
    durations: Times = field(default_factory=lambda: np.zeros(0))
    hidden: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    places: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    first_key: int = 0
    joints: tuple[int, ...] = ()
    damaged: tuple[int, ...] = ()
    missing: int = 0

    @property
    def count(self) -> int:
        return len(self.times)

    @property
    def shown(self) -> Times:
        """Times of the pictures that are shown."""
        return self.times[~self.hidden]

    def time_at(self, byte: int) -> float:
        """The second of the picture that lies at a byte of the file, or before it."""
        before = self.times[(self.places >= 0) & (self.places <= byte)]
        return float(before[-1] if len(before) else self.times[0])


@dataclass
class _Packets:
    """One stream while it is read."""

    stream: VideoStream
    clock: list[float] = field(default_factory=list)
    order: list[float] = field(default_factory=list)
    durations: list[float] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    keys: list[int] = field(default_factory=list)
    damaged: list[int] = field(default_factory=list)
    hidden: list[bool] = field(default_factory=list)


@dataclass(frozen=True)
class Survey:
    """``broken_at``: the second at which the demuxer gave up, none where it came to the end; ``end``: of the latest
    packet of any stream, sound too, in seconds on the file's clock; ``length``: that the file states, 0 for none."""

    tracks: dict[int, Track]
    broken_at: float | None
    end: float
    length: float

    @property
    def cut_off(self) -> str | None:
        """Why the file is taken for cut off, by the length it states for its longest stream."""
        if 0 < self.end < 0.97 * self.length - 1 and self.length < _ABSURD * self.end:
            return f"{self.end:.1f} of {self.length:.1f} seconds are there"
        return None


def survey(container: InputContainer, streams: Sequence[VideoStream], most: int) -> Survey:
    """Reads all packets of a file, from where ``container`` stands, to its end; of ``streams`` the times are kept.

    Raises `StageError` where one of them has more than ``most`` packets.
    """
    reading = {stream.index: _Packets(stream) for stream in streams}
    # Others state the length of each stream, or none: FFmpeg's is an estimate then.
    stating = any(name in container.format.name for name in ("matroska", "flv", "asf"))
    heard = [s for s in container.streams if s.type == "audio" and stating]
    end, broken = 0.0, None
    try:
        for packet in container.demux([*streams, *heard]):
            if not packet.size:
                continue
            tick = float(packet.time_base)
            at = packet.dts if packet.dts is not None else packet.pts
            if at is not None:
                end = max(end, (at + (packet.duration or 0)) * tick)
            if packet.stream_index in reading:
                _add(reading[packet.stream_index], packet, "avi" in container.format.name)
                if len(reading[packet.stream_index].clock) > most:
                    raise StageError("probe", f"more than {most} frames, over the limit of {most}")
    except av.error.FFmpegError:
        broken = end
    length = (container.duration or 0) / 1e6 if stating else 0.0
    tracks = {index: _track(packets) for index, packets in reading.items()}
    return Survey(tracks, broken, end, length)


def _add(packets: _Packets, packet: av.Packet, coding_times: bool) -> None:
    """``coding_times``: the container has times of decoding alone, and what is said of showing is a guess."""
    tick, number = float(packet.time_base), len(packets.clock)
    known = [time for time in (packet.dts, packet.pts) if time is not None]
    shown = packet.pts if packet.pts is not None and not coding_times else (known[0] if known else None)
    packets.clock.append(float("nan") if shown is None else shown * tick)
    packets.order.append(float("nan") if packet.dts is None else packet.dts * tick)
    packets.durations.append((packet.duration or 0) * tick)
    packets.hidden.append(packet.is_discard)
    packets.places.append(-1 if packet.pos is None else packet.pos)
    if packet.is_keyframe:
        packets.keys.append(number)
    if packet.is_corrupt:
        packets.damaged.append(number)


def _track(packets: _Packets) -> Track:
    count, times = len(packets.clock), np.array(packets.clock)
    durations, hidden = np.array(packets.durations), np.array(packets.hidden, bool)
    if np.isnan(times).any():
        times = _counted(times, durations, packets.stream)
    joints, keys = _joints(np.array(packets.order)), set(packets.keys)
    for joint in joints:
        if joint not in keys:
            raise StageError(
                "probe", f"time goes back at {times[:joint].max():.2f} s, within a group of pictures"
            )
    order = np.array(packets.order)
    leaps = np.flatnonzero(np.abs(np.diff(order)) > _JUMP) + 1
    ends = [*joints, *leaps.tolist(), count]
    broadcast = packets.stream.container.format.name in (
        "mpegts",
        "mpeg",
    )  # others do not begin within a group
    index = getattr(packets.stream, "index_entries", ())
    return Track(
        index=packets.stream.index,
        tick=float(packets.stream.time_base or 0),
        times=_forward(times, durations, hidden, joints),
        durations=durations,
        hidden=hidden,
        places=np.array(packets.places, np.int64),
        first_key=packets.keys[0] if packets.keys and broadcast else 0,
        joints=tuple(joints),
        damaged=tuple(n for n in packets.damaged if not any(n < end <= n + _LATE for end in ends)),
        missing=max(0, len(index) - count) if "mp4" in packets.stream.container.format.name else 0,
    )


def _counted(times: Times, durations: Times, stream: VideoStream) -> Times:
    """Times that are not stated follow the last one that is, by what the packets before them last."""
    usual = 1 / float(stream.average_rate or stream.guessed_rate or 25)
    filled, at = times.copy(), 0.0
    for number in range(len(filled)):
        if np.isnan(filled[number]):
            filled[number] = at
        at = filled[number] + (durations[number] or usual)
    return filled


def _joints(order: Times) -> list[int]:
    """Packets before which the clock of decoding goes back."""
    known = np.flatnonzero(~np.isnan(order))
    return [int(known[k + 1]) for k in np.flatnonzero(np.diff(order[known]) < 0)]


def _forward(times: Times, durations: Times, hidden: NDArray[np.bool_], joints: Sequence[int]) -> Times:
    """Times from 0 on where they begin below, and each stretch behind the one before."""
    moved, before = times.copy(), None
    bounds = [0, *joints, len(times)]
    for first, stop in pairwise(bounds):
        if first == stop:
            continue
        stretch, seen = times[first:stop], ~hidden[first:stop]
        begin = float(stretch[seen].min()) if seen.any() else 0.0
        shift = max(0.0, -begin) if before is None else before - begin
        moved[first:stop] = stretch + shift
        last = int(np.argmax(stretch))
        steps = np.diff(np.sort(stretch))
        steps = steps[steps > 0]
        usual = float(np.median(steps)) if len(steps) else 0.04
        stated = float(durations[first + last])
        before = float(moved[first:stop].max()) + (stated if 0 < stated < 2 * usual else usual)
    return moved


def candidates(container: InputContainer, codecs: Sequence[str]) -> list[VideoStream]:
    """Streams that may be the film: stills aside, of those of known codecs, or of all where there is none."""
    streams = [s for s in container.streams.video if not s.disposition & _STILL]
    known = [s for s in streams if s.codec_context is not None and s.codec_context.codec.name in codecs]
    return known or streams


def film(container: InputContainer, streams: Sequence[VideoStream], found: Survey) -> VideoStream:
    """Of ``streams`` the one that is shown: the one that players choose, of those with about the most pictures.

    Raises `StageError` where none has a picture.
    """
    most = max(found.tracks[s.index].count for s in streams)
    if most == 0:
        raise StageError("decode", "no frame could be decoded: the video stream has no packets")
    full = [s for s in streams if found.tracks[s.index].count >= _FEW * most]
    best = container.streams.best("video")
    return best if best in full else full[0]
