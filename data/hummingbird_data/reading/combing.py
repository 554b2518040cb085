"""Interlaced pictures: two fields of lines, taken one after the other, in one picture. What moves in it is combed.

Whether a picture is, is seen in it (FFmpeg's idet, over its neighbors): what files say of it is wrong in both
directions. Pictures of shots that are get their missing lines from their neighbors (bwdif).
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import av
from av.filter import Graph

# Of a shot's pictures, those that look combed: at least so many, this share of those that show it, and this many times
# those that look combed in the other order of fields. Of film as television sends it (3:2) two in five are.
_LEAST, _SHARE, _RATHER = 3, 0.25, 3
Seen = tuple[float, str]  # the time of a picture, and what it looks like: tff, bff, progressive, undetermined


@dataclass(frozen=True)
class Field:
    """A stretch of time, first and last second, with interlaced pictures; ``parity``: which field comes first."""

    first: float
    last: float
    parity: str


class Combing:
    """Pictures are shown to it in order of time; `fields` says where they are interlaced."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self._times: deque[float] = deque()
        self._filter = _Filter("idet")

    def see(self, frame: av.VideoFrame, time: float) -> None:
        self._times.append(time)
        self._note(self._filter.push(frame))

    def _note(self, frames: Iterator[av.VideoFrame]) -> None:
        for frame in frames:
            if self._times:
                kind = str(frame.metadata.get("lavfi.idet.single.current_frame", "undetermined"))
                self.seen.append((self._times.popleft(), kind))

    def fields(self, shots: Sequence[tuple[float, float]]) -> list[Field]:
        """Of ``shots`` (first second, and that of the last picture) those with interlaced pictures."""
        self._note(self._filter.end())
        found = []
        for first, last in shots:
            kinds = [kind for time, kind in self.seen if first <= time <= last]
            combed = {kind: kinds.count(kind) for kind in ("tff", "bff")}
            kind, other = sorted(combed, key=lambda name: combed[name], reverse=True)
            decided = sum(combed.values()) + kinds.count("progressive")
            if combed[kind] >= max(_LEAST, _SHARE * decided, _RATHER * combed[other]):
                found.append(Field(first, last, kind))
        return found


@dataclass
class Deinterlacer:
    """Pictures in order of time go in and come out; those of ``fields`` come out whole.

    A file has one order of its fields: that of most of its shots.
    """

    fields: Sequence[Field]
    _waiting: deque[tuple[av.VideoFrame, int, bool]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        parities = [f.parity for f in self.fields]
        parity = max(parities, key=parities.count)
        self._filter = _Filter("bwdif", f"mode=send_frame:parity={parity}:deint=all")

    def push(self, frame: av.VideoFrame, place: int, time: float) -> Iterator[tuple[av.VideoFrame, int]]:
        """``place``: what the picture comes out with."""
        inside = any(f.first <= time <= f.last for f in self.fields)
        self._waiting.append((frame, place, inside))
        yield from self._out(self._filter.push(frame))

    def end(self) -> Iterator[tuple[av.VideoFrame, int]]:
        yield from self._out(self._filter.end())

    def _out(self, frames: Iterator[av.VideoFrame]) -> Iterator[tuple[av.VideoFrame, int]]:
        for whole in frames:
            frame, place, inside = self._waiting.popleft()
            yield (whole if inside else frame), place


class Unflagged:
    """Takes the mark "interlaced" off pictures: FFmpeg scales the fields of those that bear it apart."""

    def __init__(self) -> None:
        self._filter = _Filter("setfield", "prog")

    def of(self, frame: av.VideoFrame) -> av.VideoFrame:
        return next(self._filter.push(frame)) if frame.interlaced_frame else frame


class _Filter:
    """One filter of FFmpeg over pictures of any size, each of which gives one picture, in order."""

    def __init__(self, name: str, options: str = "") -> None:
        self.name, self.options = name, options
        self._graph: Graph | None = None
        self._kind: tuple[int, int, str] | None = None
        self._count = 0

    def push(self, frame: av.VideoFrame) -> Iterator[av.VideoFrame]:
        kind = (frame.width, frame.height, frame.format.name)
        if kind != self._kind:
            yield from self.end()
            self._kind, self._graph = kind, Graph()
            source = self._graph.add_buffer(
                width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 25)
            )
            filtering = self._graph.add(self.name, ":".join(filter(None, [self.options, "threads=1"])))
            sink = self._graph.add("buffersink")
            source.link_to(filtering)
            filtering.link_to(sink)
            self._graph.configure()
        assert self._graph is not None
        frame.pts, frame.time_base = self._count, Fraction(1, 25)  # its clock does not matter to it
        self._count += 1
        self._graph.push(frame)
        yield from self._pulled()

    def end(self) -> Iterator[av.VideoFrame]:
        if self._graph is not None:
            self._graph.push(None)
            yield from self._pulled()
            self._graph, self._kind = None, None

    def _pulled(self) -> Iterator[av.VideoFrame]:
        assert self._graph is not None
        while True:
            try:
                frame = self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            assert isinstance(frame, av.VideoFrame)
            yield frame
