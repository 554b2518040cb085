"""Containers that are a row of pages or packets of stated sizes: Ogg, ASF, MPEG program streams.

As `hummingbird_data.reading.structure`: stated sizes are followed, check sums compared, nothing is decoded. Demuxers
search on for the next page that they understand; what was in between is missing without a word.

Sources: RFC 3533 (Ogg), Microsoft's "Advanced Systems Format (ASF) Specification", revision 01.20.05, ISO/IEC 13818-1
and 11172-1 (program streams).
"""

import zlib
from dataclasses import dataclass
from typing import BinaryIO

_COMPLETE = 0.97  # share of the stated bytes that a file must have, as decode.py asks of its pictures
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_CUT = "it ends within a packet"


@dataclass(frozen=True)
class Structure:
    """``cut_off``: why the file is taken for cut off; ``damaged_at``: the second at which its structure breaks, or
    ``damaged_byte``: the place in the file, where only that is known; ``complete``: it states its own size in bytes,
    and has it, so that a stated length does not matter."""

    cut_off: str | None = None
    damaged_at: float | None = None
    damaged_byte: int | None = None
    complete: bool = False


def of_size(stated: int, size: int) -> Structure:
    """What a stated size says of a file with ``size`` bytes."""
    if stated > size and size < _COMPLETE * stated:
        return Structure(cut_off=f"{100 * size / stated:.0f} % of its bytes are there")
    return Structure(complete=stated > 0)


def ogg(file: BinaryIO, size: int) -> Structure:
    """Pages, each with a check sum and its number in its stream."""
    at, numbers = 0, dict[bytes, int]()
    while at < size:
        file.seek(at)
        head = file.read(27)
        if head[:4] != b"OggS"[: len(head)]:
            return Structure(damaged_byte=at)
        table = file.read(head[26]) if len(head) == 27 else b""
        content = file.read(sum(table))
        if len(head) < 27 or len(table) < head[26] or len(content) < sum(table):
            return Structure(cut_off=_CUT)
        stream, number, begins = head[14:18], int.from_bytes(head[18:22], "little"), head[5] & 2
        follows = begins or number == (numbers.get(stream, number - 1) + 1) & 0xFFFFFFFF
        if not follows or _ogg_sum(head[:22] + bytes(4) + head[26:] + table + content) != head[22:26]:
            return Structure(damaged_byte=at)
        numbers[stream] = number
        at += 27 + len(table) + len(content)
    return Structure()


def _ogg_sum(data: bytes) -> bytes:
    """Ogg's check sum has zlib's polynomial, bits the other way round, and is not inverted."""
    found = zlib.crc32(data.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return found.to_bytes(4, "little").translate(_REVERSED)[::-1]


_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_FILE = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_ASF_DATA = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")


def asf(file: BinaryIO, size: int) -> Structure:
    """Objects; the one with the data is a row of packets of one size."""
    head = file.read(30)
    if head[:16] != _ASF_HEADER:
        return Structure()
    at, end = 30, int.from_bytes(head[16:24], "little")
    stated, packet = 0, 0
    while at + 24 <= min(end, size):
        file.seek(at)
        body = file.read(104)
        length = int.from_bytes(body[16:24], "little")
        if body[:16] == _ASF_FILE and len(body) == 104:
            least, most = (int.from_bytes(body[place : place + 4], "little") for place in (92, 96))
            packet = least if least == most else 0
            stated = 0 if body[88] & 1 else int.from_bytes(body[40:48], "little")  # 0: live, no size is known
        if length < 24:
            return Structure(damaged_byte=at)
        at += length
    file.seek(end)
    data = file.read(50)
    if data[:16] != _ASF_DATA:
        return of_size(stated, size)
    found = of_size(stated, size)
    count = int.from_bytes(data[40:48], "little") if stated else 0
    if packet and not found.cut_off:
        return _asf_packets(file, end + 50, packet, count, size) or found
    return found


def _asf_packets(file: BinaryIO, at: int, packet: int, count: int, size: int) -> Structure | None:
    """Packets begin with the same flags and two bytes of error correction, if the first one does."""
    file.seek(at)
    first = file.read(3)
    if first != b"\x82\0\0":
        return None
    for number in range(count):
        place = at + number * packet
        file.seek(place)
        if place + packet > size:
            return Structure(cut_off=_CUT)
        if file.read(3) != first:
            return Structure(damaged_byte=place)
    return None


def program_stream(file: BinaryIO, size: int) -> Structure:
    """Packs of packets, each with its length."""
    at = 0
    while at < size:
        file.seek(at)
        head = file.read(14)
        if at == 0 and head[:4] != b"\0\0\1\xba":
            return Structure()
        if not head.strip(b"\0"):
            at += len(head) - 3 if len(head) == 14 else len(head)  # padding; a start code begins with zeros
            continue
        if head[:3] != b"\0\0\1"[: len(head)]:
            stuffing = len(head) - len(head.lstrip(b"\0"))
            if stuffing > 2 and head[stuffing] == 1:
                at += stuffing - 2
                continue
            return Structure(damaged_byte=at)
        if len(head) < 6:
            return Structure() if head[3:4] == b"\xb9" else Structure(cut_off=_CUT)
        if head[3] == 0xB9:
            at += 4
        elif head[3] == 0xBA:
            second = head[4] & 0xC0 == 0x40  # MPEG-2's
            at += 14 + (head[13] & 7 if len(head) == 14 else 0) if second else 12
        elif head[3] < 0xBB:
            return Structure(damaged_byte=at)
        else:
            at += 6 + int.from_bytes(head[4:6], "big")
    return Structure(cut_off=_CUT) if at > size else Structure()
