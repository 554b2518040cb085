"""What near copies are found by: a perceptual hash of each clip, and its embedding.

The hash has, for each of four frames, 64 bits of luma (is it brighter to the right, on an 8 x 8 grid) and
256 bits of color (is it far from gray, along either axis in either direction). Clips whose embeddings and
hashes are near are compared as pictures before one is called a copy (`hummingbird_data.copies.duplicate_index`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from hummingbird_data.copies.embedding import embedding
from hummingbird_data.reading.clip_frames import Frames, clip_frames
from hummingbird_data.stage import Row, Stage

_FRAMES = 4
_GRID = 8
_GRAY = 14  # levels of Cb and Cr around 128 that count as gray
_LUMA_BYTES = _FRAMES * _GRID * _GRID // 8
_ENOUGH = 32  # color bits: with as many in either clip, luma need not agree
_FEW = 8  # color bits: with fewer in both clips, color says nothing


@dataclass
class HashStage(Stage):
    """The clip's perceptual hash and embedding."""

    name: ClassVar[str] = "hash"
    inputs: ClassVar[tuple[str, ...]] = ("media_path", "storage")
    outputs: ClassVar[tuple[str, ...]] = ("perceptual_hash", "embedding")

    def process(self, row: Row) -> Iterable[Row]:
        frames, _ = clip_frames(row)
        return [{"perceptual_hash": perceptual_hash(frames), "embedding": embedding(frames)}]


def perceptual_hash(frames: Frames) -> str:
    """The hash of a clip, uint8 RGB (T, H, W, 3), in hexadecimal: luma bits, then color bits."""
    luma, color = [], []
    for index in np.linspace(0, len(frames) - 1, 2 * _FRAMES + 1).round().astype(int)[1::2]:
        ycc = cv2.cvtColor(frames[index], cv2.COLOR_RGB2YCrCb)
        wide = cv2.resize(ycc[..., 0], (_GRID + 1, _GRID), interpolation=cv2.INTER_AREA).astype(np.int16)
        luma.append((np.diff(wide, axis=1) > 0).ravel())
        chroma = cv2.resize(ycc[..., 1:], (_GRID, _GRID), interpolation=cv2.INTER_AREA).astype(np.int16) - 128
        color += [(chroma > _GRAY).ravel(), (chroma < -_GRAY).ravel()]
    return np.packbits(np.concatenate([*luma, *color])).tobytes().hex()


@dataclass(frozen=True)
class CopyLimits:
    """What counts as a copy. ``luma`` and ``color``: most differing bits of the hashes, as shares, of clips
    worth a look; ``likeness``: least likeness of their pictures (`hummingbird_data.copies.likeness`)."""

    luma: float = 0.4
    color: float = 0.55
    likeness: float = 0.75


def near(one: str, others: Sequence[str], limits: CopyLimits) -> NDArray[np.bool_]:
    """Whether perceptual hashes (N) are near enough to ``one`` for their clips to be worth a look."""
    own = np.frombuffer(bytes.fromhex(one), np.uint8)
    hashes = np.frombuffer(bytes.fromhex("".join(others)), np.uint8).reshape(len(others), len(own))
    differing = np.bitwise_count(hashes ^ own)
    either = np.bitwise_count((hashes | own)[:, _LUMA_BYTES:]).sum(1, dtype=int)
    luma = differing[:, :_LUMA_BYTES].sum(1, dtype=int) / (8 * _LUMA_BYTES)
    color = differing[:, _LUMA_BYTES:].sum(1, dtype=int) / np.maximum(either, _FEW)
    # A small shift turns every luma bit of a striped background over: enough color makes up for it.
    return np.asarray(((luma <= limits.luma) | (either >= _ENOUGH)) & (color <= limits.color))
