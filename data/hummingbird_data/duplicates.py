"""Exact and near copies: a perceptual hash of each clip, and the index of the clips kept so far.

The hash has, for each of four frames, 64 bits of luma (is it brighter to the right, on an 8 x 8 grid) and
256 bits of colour (is it far from grey, along either axis in either direction). Clips whose hashes are near
are compared as pictures before one is called a copy.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from hummingbird_data.clip_frames import Frames, clip_frames
from hummingbird_data.likeness import Thumbnails, likeness, thumbnails
from hummingbird_data.stage import Row, Stage

_FRAMES = 4
_GRID = 8
_GREY = 14  # levels of Cb and Cr around 128 that count as grey
_LUMA_BYTES = _FRAMES * _GRID * _GRID // 8
_ENOUGH = 32  # colour bits: with as many in either clip, luma need not agree
_FEW = 8  # colour bits: with fewer in both clips, colour says nothing


@dataclass
class HashStage(Stage):
    """The clip's perceptual hash."""

    name: ClassVar[str] = "hash"
    inputs: ClassVar[tuple[str, ...]] = ("media_path", "storage")
    outputs: ClassVar[tuple[str, ...]] = ("perceptual_hash",)

    def process(self, row: Row) -> Iterable[Row]:
        frames, _ = clip_frames(row)
        return [{"perceptual_hash": perceptual_hash(frames)}]


def perceptual_hash(frames: Frames) -> str:
    """The hash of a clip, uint8 RGB (T, H, W, 3), in hexadecimal: luma bits, then colour bits."""
    luma, colour = [], []
    for index in np.linspace(0, len(frames) - 1, 2 * _FRAMES + 1).round().astype(int)[1::2]:
        ycc = cv2.cvtColor(frames[index], cv2.COLOR_RGB2YCrCb)
        wide = cv2.resize(ycc[..., 0], (_GRID + 1, _GRID), interpolation=cv2.INTER_AREA).astype(np.int16)
        luma.append((np.diff(wide, axis=1) > 0).ravel())
        chroma = cv2.resize(ycc[..., 1:], (_GRID, _GRID), interpolation=cv2.INTER_AREA).astype(np.int16) - 128
        colour += [(chroma > _GREY).ravel(), (chroma < -_GREY).ravel()]
    return np.packbits(np.concatenate([*luma, *colour])).tobytes().hex()


@dataclass(frozen=True)
class CopyLimits:
    """What counts as a copy. ``luma`` and ``colour``: most differing bits of the hashes, as shares, of clips
    worth a look; ``likeness``: least likeness of their pictures (`hummingbird_data.likeness`)."""

    luma: float = 0.4
    colour: float = 0.55
    likeness: float = 0.75


class DuplicateIndex:
    """The kept clips that a new one is compared with. Memory: about 300 bytes a clip; a look-up is linear."""

    def __init__(self, limits: CopyLimits, storage: Path) -> None:
        self.limits, self.storage = limits, storage
        self._exact: dict[str, int] = {}
        self._rows: list[Row] = []
        self._hashes = np.zeros((64, 0), np.uint8)

    def add(self, row: Row) -> None:
        """Adds a kept clip, a row with its id, source, shot, media and the two hashes."""
        bits = np.frombuffer(bytes.fromhex(row["perceptual_hash"]), np.uint8)
        count = len(self._rows)
        if self._hashes.shape[1] != len(bits) or count == len(self._hashes):
            grown = np.zeros((max(64, 2 * count), len(bits)), np.uint8)
            grown[:count] = self._hashes[:count] if count else 0
            self._hashes = grown
        self._hashes[count] = bits
        self._exact.setdefault(row["content_hash"], count)
        self._rows.append({key: row[key] for key in ("clip_id", "source_uri", "shot_index", "media_path")})

    def find(self, row: Row) -> str | None:
        """The ``clip_id`` of the first kept clip that ``row`` copies, or None.

        Neighbours from one shot look alike without being copies: of them only exact copies count.
        """
        same = self._exact.get(row["content_hash"])
        if same is not None and self._rows[same]["clip_id"] != row["clip_id"]:
            return str(self._rows[same]["clip_id"])
        bits = np.frombuffer(bytes.fromhex(row["perceptual_hash"]), np.uint8)
        for number in np.flatnonzero(self._near(bits)):
            known = self._rows[int(number)]
            shots = [(r["source_uri"], r["shot_index"]) for r in (known, row)]
            if known["clip_id"] == row["clip_id"] or shots[0] == shots[1]:
                continue
            if likeness(self._pictures(known), self._pictures(row)) >= self.limits.likeness:
                return str(known["clip_id"])
        return None

    def _pictures(self, row: Row) -> Thumbnails:
        return thumbnails(clip_frames({"storage": str(self.storage), "media_path": row["media_path"]})[0])

    def _near(self, bits: NDArray[np.uint8]) -> NDArray[np.bool_]:
        known = self._hashes[: len(self._rows)]
        if not len(known):
            return np.zeros(0, bool)
        differing = np.bitwise_count(known ^ bits).astype(np.int64)
        either = np.bitwise_count(known[:, _LUMA_BYTES:] | bits[_LUMA_BYTES:]).astype(np.int64).sum(1)
        luma = differing[:, :_LUMA_BYTES].sum(1) / (8 * _LUMA_BYTES)
        colour = differing[:, _LUMA_BYTES:].sum(1) / np.maximum(either, _FEW)
        # A small shift turns every luma bit of a striped background over: enough colour makes up for it.
        near_luma = (luma <= self.limits.luma) | (either >= _ENOUGH)
        result: NDArray[np.bool_] = near_luma & (colour <= self.limits.colour)
        return result
