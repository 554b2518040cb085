"""Exact and near copies: a perceptual hash of each clip, and the index of the clips kept so far.

The hash has, for each of four frames, 64 bits of luma (is it brighter to the right, on an 8 x 8 grid) and
256 bits of colour (is it far from grey, along either axis in either direction). Near copies differ in few
of both. Luma alone would not do: two clips before the same background share most of it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from hummingbird_data.clip_frames import Frames, clip_frames
from hummingbird_data.stage import Row, Stage

_FRAMES = 4
_GRID = 8
_GREY = 14  # levels of Cb and Cr around 128 that count as grey
_LUMA_BYTES = _FRAMES * _GRID * _GRID // 8
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


class DuplicateIndex:
    """The kept clips that a new one is compared with. Memory: about 200 bytes a clip; a look-up is linear."""

    def __init__(self, luma: float, colour: float) -> None:
        self.luma, self.colour = luma, colour
        self._exact: dict[str, int] = {}
        self._keys: list[tuple[str, str, int]] = []
        self._hashes = np.zeros((64, 0), np.uint8)

    def add(self, row: Row) -> None:
        """Adds a kept clip, a row with its id, source, shot and the two hashes."""
        bits = np.frombuffer(bytes.fromhex(row["perceptual_hash"]), np.uint8)
        count = len(self._keys)
        if self._hashes.shape[1] != len(bits) or count == len(self._hashes):
            grown = np.zeros((max(64, 2 * count), len(bits)), np.uint8)
            grown[:count] = self._hashes[:count] if count else 0
            self._hashes = grown
        self._hashes[count] = bits
        self._exact.setdefault(row["content_hash"], count)
        self._keys.append((row["clip_id"], row["source_uri"], row["shot_index"]))

    def find(self, row: Row) -> str | None:
        """The ``clip_id`` of the first kept clip that ``row`` copies, or None.

        Neighbours from one shot look alike without being copies: of them only exact copies count.
        """
        same = self._exact.get(row["content_hash"])
        if same is not None and self._keys[same][0] != row["clip_id"]:
            return self._keys[same][0]
        bits = np.frombuffer(bytes.fromhex(row["perceptual_hash"]), np.uint8)
        for number in np.flatnonzero(self._near(bits)):
            clip_id, *shot = self._keys[int(number)]
            if clip_id != row["clip_id"] and shot != [row["source_uri"], row["shot_index"]]:
                return clip_id
        return None

    def _near(self, bits: NDArray[np.uint8]) -> NDArray[np.bool_]:
        known = self._hashes[: len(self._keys)]
        if not len(known):
            return np.zeros(0, bool)
        differing = np.bitwise_count(known ^ bits).astype(np.int64)
        either = np.bitwise_count(known[:, _LUMA_BYTES:] | bits[_LUMA_BYTES:]).astype(np.int64).sum(1)
        luma = differing[:, :_LUMA_BYTES].sum(1) / (8 * _LUMA_BYTES)
        colour = differing[:, _LUMA_BYTES:].sum(1) / np.maximum(either, _FEW)
        result: NDArray[np.bool_] = (luma <= self.luma) & (colour <= self.colour)
        return result
