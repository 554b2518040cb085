"""What the structure of a file says by itself: whether it was cut off, and where it is damaged.

A demuxer steps over what it does not understand, and stops quietly where the bytes end. Here the boxes, elements,
chunks and tags are followed by their stated sizes, and Matroska's check sums are compared. Nothing is decoded.

Sources: RFC 8794 (EBML), RFC 9559 (Matroska), ISO/IEC 14496-12 (boxes), Adobe's FLV specification 10.1, ISO/IEC
13818-1.
"""

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from hummingbird_data.reading.structure_pages import Structure, asf, of_size, ogg, program_stream

_PAGES = {"ogg": ogg, "asf": asf, "mpeg": program_stream}


class _CutOffError(Exception):
    pass


def structure(path: Path, container: str) -> Structure:
    """Follows the structure of a file in FFmpeg's ``container`` ("matroska,webm"). Those not known here say nothing."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if "matroska" in container:
            return _Matroska(file, size).follow()
        if container == "flv":
            return _flv(file, size)
        if container == "avi":
            return _avi(file, size)
        if container == "mpegts":
            return _transport_stream(file, size)
        if "mp4" in container:
            return _boxes(file, size)
        if container in _PAGES:
            return _PAGES[container](file, size)
    return Structure()


def _avi(file: BinaryIO, size: int) -> Structure:
    """Chunks of RIFF: lists of headers, and of pictures and sound. A recording that broke off states no sizes."""
    end, seconds, step = 0, 0.0, 0.0
    while end + 12 <= size:
        file.seek(end)
        head = file.read(12)
        stated = int.from_bytes(head[4:8], "little")
        if head[:4] != b"RIFF" or stated in (0, 0xFFFFFFFF):
            break
        stop = end + 8 + stated
        at = end + 12
        end = stop + stated % 2
        while at + 8 <= min(stop, size):
            file.seek(at)
            head = file.read(12)
            kind, length = head[:4], int.from_bytes(head[4:8], "little")
            if kind == b"LIST" and head[8:] in (b"movi", b"hdrl", b"rec "):
                at += 12
                continue
            if kind == b"avih":
                step = int.from_bytes(head[8:], "little") / 1e6
            if kind[2:] in (b"dc", b"db"):
                seconds += step
            elif not (
                kind[2:] in (b"wb", b"tx", b"pc") or kind[:2] == b"ix" or (kind.isalnum() and kind.isascii())
            ):
                return Structure(damaged_at=seconds)
            at += 8 + length + length % 2
    return of_size(end, size)


def _boxes(file: BinaryIO, size: int) -> Structure:
    """A file in fragments is cut off where its last one is; of others the table of pictures says more."""
    at, fragments = 0, False
    while at + 8 <= size:
        file.seek(at)
        head = file.read(16)
        length, kind = int.from_bytes(head[:4], "big"), head[4:8]
        length = int.from_bytes(head[8:], "big") if length == 1 else length or size - at
        fragments = fragments or kind == b"moof"
        if length < 8:
            break
        at += length
    if fragments and at > size:
        return Structure(cut_off="it ends within a fragment")
    return Structure()


def _transport_stream(file: BinaryIO, size: int) -> Structure:
    head = file.read(192 * 3)
    for length, first in ((188, 0), (192, 4)):
        if all(head[first + n * length : first + n * length + 1] == b"\x47" for n in range(3)):
            return Structure(cut_off="it ends within a packet") if size % length else Structure()
    return Structure()


def _flv(file: BinaryIO, size: int) -> Structure:
    file.seek(5)
    at = int.from_bytes(file.read(4), "big") + 4
    seconds = 0.0
    while at < size:
        file.seek(at)
        head = file.read(11)
        if len(head) < 11:
            return Structure(cut_off="it ends within a picture or sound")
        length = int.from_bytes(head[1:4], "big")
        if head[0] & 0x1F not in (8, 9, 18):
            return Structure(damaged_at=seconds)
        if at + 11 + length > size:
            return Structure(cut_off="it ends within a picture or sound")
        seconds = int.from_bytes(head[7:8] + head[4:7], "big") / 1000
        file.seek(at + 11 + length)
        again = file.read(4)
        if len(again) == 4 and int.from_bytes(again, "big") not in (11 + length, 0):
            return Structure(damaged_at=seconds)
        at += 15 + length
    return Structure()


_SEGMENT, _CLUSTER, _INFO = 0x18538067, 0x1F43B675, 0x1549A966
_CRC, _VOID, _SCALE, _TIME, _SIMPLE_BLOCK, _GROUP = 0xBF, 0xEC, 0x2AD7B1, 0xE7, 0xA3, 0xA0
_TOP = {_CLUSTER, _INFO, _CRC, _VOID, 0x114D9B74, 0x1654AE6B, 0x1C53BB6B, 0x1254C367, 0x1941A469, 0x1043A770}
_IN_CLUSTER = {_CRC, _VOID, _TIME, _SIMPLE_BLOCK, _GROUP, 0xAB, 0xA7, 0x5854, 0xAF}
_MANY = 1 << 27  # bytes of a cluster that is checked in one piece


class _Matroska:
    """Matroska and WebM: elements of elements. Of clusters the check sums, and of blocks the sizes, are followed."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.file, self.size = file, size
        self.scale, self.cluster, self.seconds = 1e-3, 0, 0.0

    def follow(self) -> Structure:
        try:
            _, end, at, _ = self._element(0, self.size)  # the EBML header
            assert end is not None
            name, stated, at, _ = self._element(end, self.size)
            if name != _SEGMENT:
                return Structure()
            whole = of_size(stated or 0, self.size)
            if whole.cut_off:
                return whole
            damaged = self._segment(at, min(stated or self.size, self.size))
        except _CutOffError:
            # Only where no size is stated for all: else the share of the bytes has decided.
            if "stated" in locals() and stated:
                return Structure(complete=True)
            return Structure(cut_off="it ends within a picture or sound")
        return Structure(damaged_at=self.seconds) if damaged else whole

    def _segment(self, at: int, end: int) -> bool:
        """Whether it is damaged."""
        while at < end:
            name, stop, start, known = self._element(at, end)
            if name not in _TOP or not known:
                return True
            if name == _CLUSTER:
                stop, damaged = self._blocks(start, stop, end)
                if damaged:
                    return True
            elif name == _INFO and stop is not None:
                self._info(start, stop)
            elif stop is None:
                return True
            assert stop is not None
            if stop > self.size:
                raise _CutOffError
            at = stop
        return False

    def _blocks(self, at: int, stop: int | None, end: int) -> tuple[int, bool]:
        """Where a cluster ends, and whether it is damaged."""
        first = True
        while at < (stop or end):
            name, inner, start, known = self._element(at, stop or end)
            if stop is None and name in _TOP - _IN_CLUSTER:
                return at, False  # a cluster without a size ends where the next one begins
            if name not in _IN_CLUSTER or not known or inner is None or (stop and inner > stop):
                return at, True
            if inner > self.size:
                raise _CutOffError
            if first and name == _CRC and stop and stop <= self.size and stop - inner < _MANY:
                self.file.seek(start)
                stated = int.from_bytes(self.file.read(4), "little")
                if zlib.crc32(self.file.read(stop - inner)) != stated:
                    self._time_of(inner, stop)
                    return at, True
            self._see(name, start, inner)
            first, at = False, inner
        return stop or at, False

    def _time_of(self, at: int, stop: int) -> None:
        name, inner, start, _ = self._element(at, stop)
        if inner is not None and name == _TIME:
            self._see(name, start, inner)

    def _see(self, name: int, start: int, stop: int) -> None:
        self.file.seek(start)
        if name == _TIME:
            self.cluster = int.from_bytes(self.file.read(min(8, stop - start)), "big")
            self.seconds = self.cluster * self.scale
        elif name == _SIMPLE_BLOCK:
            head = self.file.read(4)
            time = (self.cluster + int.from_bytes(head[1:3], "big", signed=True)) * self.scale
            self.seconds = max(self.seconds, time)

    def _info(self, at: int, stop: int) -> None:
        for name, start, inner in self._children(at, stop):
            if name == _SCALE:
                self.file.seek(start)
                self.scale = int.from_bytes(self.file.read(min(8, inner - start)), "big") / 1e9

    def _children(self, at: int, stop: int) -> Iterator[tuple[int, int, int]]:
        while at < stop:
            name, inner, start, known = self._element(at, stop)
            if not known or inner is None:
                return
            yield name, start, inner
            at = inner

    def _element(self, at: int, end: int) -> tuple[int, int | None, int, bool]:
        """Its id, its end (none: unknown), where its content begins, and whether it could be read at all."""
        self.file.seek(at)
        head = self.file.read(12)
        if not head or at + 2 > self.size:
            raise _CutOffError
        length = 9 - head[0].bit_length()
        if length > 4:
            return 0, None, at, False
        if len(head) < length + 1:
            raise _CutOffError
        width = 9 - head[length].bit_length()
        if width > 8:
            return 0, None, at, False
        if len(head) < length + width:
            raise _CutOffError
        size = int.from_bytes(head[length : length + width], "big") - (1 << 7 * width)
        start = at + length + width
        stop = None if size == (1 << 7 * width) - 1 else start + size
        return int.from_bytes(head[:length], "big"), stop, start, True
