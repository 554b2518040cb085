"""High dynamic range as a viewer without it sees it: PQ and HLG pictures in BT.2020 to BT.709.

Sources: ITU-R BT.2100 (the two transfer functions), BT.2087 (primaries), BT.2390 (the curve that rolls highlights off).
"""

from functools import cache

import av
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

# FFmpeg's numbers of the transfer characteristics.
PQ, HLG = 16, 18
# cd/m^2: what a master is made for, and where BT.2408 puts the white of a page.
PEAK, WHITE = 1000.0, 203.0
DISPLAY_GAMMA = 2.4
TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)
# Shares of the primaries in HLG's luminance.
BT2020_LUMA = np.array([0.2627, 0.6780, 0.0593], np.float32)


def is_hdr(frame: av.VideoFrame) -> bool:
    """Whether the frame says that its values are PQ's or HLG's."""
    return int(frame.color_trc) in (PQ, HLG)


def to_sdr(values: NDArray[np.uint16], transfer: int) -> NDArray[np.uint8]:
    """RGB (H, W, 3) uint16 over its whole range, as coded by `PQ` or `HLG`, to uint8 for a display of BT.709."""
    light = _light(transfer)[values]
    if transfer == HLG:  # coded as the camera saw it; a display lifts it by its luminance
        light *= PEAK * np.maximum(light @ BT2020_LUMA, 1e-6)[..., None] ** 0.2
    light = np.maximum(light @ TO_BT709.T, 0)
    brightest = light.max(axis=2, keepdims=True)
    levels, rolled = _roll_off()
    shown = light * (np.interp(brightest, levels, rolled) / np.maximum(brightest, 1e-6))
    coded = np.clip(shown / WHITE, 0, 1) ** (1 / DISPLAY_GAMMA)
    return np.rint(coded * 255).astype(np.uint8)


@cache
def _light(transfer: int) -> Floats:
    """What each code stands for: cd/m^2 for `PQ`, light at the camera from 0 to 1 for `HLG`."""
    code = np.linspace(0, 1, 1 << 16)
    if transfer == PQ:
        return from_pq(code).astype(np.float32)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12).astype(np.float32)


@cache
def _roll_off() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Light of a master up to `PEAK`, and what of it a display with `WHITE` shows: BT.2390's curve."""
    coded = np.linspace(0, 1, 1024)  # of the master's peak
    top = float(to_pq(np.array(PEAK)))
    most = float(to_pq(np.array(WHITE))) / top
    knee = 1.5 * most - 0.5
    t = np.clip((coded - knee) / (1 - knee), 0, 1)
    bent = (
        (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * most
    )
    return from_pq(coded * top), from_pq(np.where(coded < knee, coded, bent) * top)


_M1, _M2, _C1, _C2, _C3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875


def from_pq(code: NDArray[np.float64]) -> NDArray[np.float64]:
    """cd/m^2 of PQ's values from 0 to 1."""
    power = code ** (1 / _M2)
    light: NDArray[np.float64] = 10_000 * (np.maximum(power - _C1, 0) / (_C2 - _C3 * power)) ** (1 / _M1)
    return light


def to_pq(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """PQ's values from 0 to 1 of cd/m^2."""
    power = (light / 10_000) ** _M1
    code: NDArray[np.float64] = ((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2
    return code
