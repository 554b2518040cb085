"""High dynamic range is shown as a display without it would: grays stay gray, highlights are rolled off."""

from pathlib import Path

import av
import numpy as np
import pytest
from hummingbird_data.reading.decode import decode
from hummingbird_data.reading.hdr import HLG, PQ, from_pq, to_pq, to_sdr
from hummingbird_data.reading.probe import Limits, probe

# cd/m^2 that a display of 203 shows as they are.
NITS = np.array([0.0, 1.0, 10.0, 50.0, 90.0])


def coded(nits: np.ndarray, transfer: int) -> np.ndarray:
    """Gray of so much light as uint16 codes."""
    if transfer == PQ:
        code = to_pq(nits)
    else:  # the display's light is 1000 scene^1.2
        scene = (nits / 1000) ** (1 / 1.2)
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        high = a * np.log(np.maximum(12 * scene - b, 1e-9)) + c
        code = np.where(scene <= 1 / 12, np.sqrt(3 * scene), high)
    return np.rint(code * 65535).astype(np.uint16)


def test_pq_has_its_published_values() -> None:
    # BT.2408: 203 cd/m^2 is 58 % of PQ, 1000 is 75 %.
    np.testing.assert_allclose(to_pq(np.array([203.0, 1000.0, 10_000.0])), [0.5807, 0.7518, 1.0], atol=1e-4)
    np.testing.assert_allclose(from_pq(to_pq(NITS)), NITS, atol=1e-6)


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_below_the_knee_light_is_kept_and_gray_stays_gray(transfer: int) -> None:
    gray = np.repeat(coded(NITS, transfer)[None, :, None], 3, axis=2)
    shown = to_sdr(gray, transfer)[0].astype(int)
    assert np.abs(shown - shown[:, :1]).max() <= 1
    np.testing.assert_allclose(shown[:, 0], 255 * (NITS / 203) ** (1 / 2.4), atol=1.5)


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_highlights_stay_apart_up_to_the_masters_peak(transfer: int) -> None:
    light = np.array([203.0, 300.0, 400.0, 1000.0])
    shown = to_sdr(np.repeat(coded(light, transfer)[None, :, None], 3, axis=2), transfer)[0, :, 0].astype(int)
    assert 210 < shown[0] < 235  # the white of a page is bright, and leaves room above it
    assert bool((np.diff(shown) >= 5).all())
    assert shown[-1] == 255


def test_a_color_within_bt709_keeps_its_hue() -> None:
    red = np.array([0.6274, 0.0691, 0.0164]) * 80  # BT.709's red in BT.2020's primaries, cd/m^2
    (shown,) = to_sdr(np.rint(to_pq(red) * 65535).astype(np.uint16)[None, None], PQ)[0]
    assert shown[0] == pytest.approx(255 * (80 / 203) ** (1 / 2.4), abs=3)
    assert max(shown[1:]) <= 12


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_an_hdr_file_is_read_as_its_grays_and_colors_are_seen(tmp_path: Path, transfer: int) -> None:
    nits = np.array([[50.0] * 3, [10.0] * 3, [400.0] * 3, [80 * 0.6274, 80 * 0.0691, 80 * 0.0164]])
    codes = to_pq(nits) if transfer == PQ else coded(nits, HLG) / 65535
    picture = np.repeat(np.repeat(codes[None], 24, axis=1), 48, axis=0)
    path = tmp_path / "hdr.mp4"
    write_bt2020(path, picture, transfer)
    frame = next(iter(decode(path, probe(path, Limits()), Limits(), 480)))
    seen = frame.rgb[24, [12, 36, 60, 84]].astype(int)
    expected = to_sdr(np.rint(codes[None] * 65535).astype(np.uint16), transfer)[0].astype(int)
    assert np.abs(seen[:3] - expected[:3]).max() <= 3
    assert np.abs(seen[3] - expected[3]).max() <= 25  # chroma is at half the size


def write_bt2020(path: Path, rgb: np.ndarray, transfer: int) -> None:
    """RGB codes (H, W, 3) from 0 to 1 as frames of 10 bits, limited range, BT.2020's matrix."""
    luma = rgb @ np.array([0.2627, 0.6780, 0.0593])
    blue, red = (rgb[..., 2] - luma) / 1.8814, (rgb[..., 0] - luma) / 1.4746
    planes = [luma * 876 + 64, *((part * 896 + 512)[::2, ::2] for part in (blue, red))]
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=12, options={"crf": "1"})
        stream.height, stream.width = rgb.shape[:2]
        stream.pix_fmt = "yuv420p10le"
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace, context.color_range = (
            9,
            transfer,
            9,
            1,
        )
        for number in range(14):
            flat = np.concatenate([np.rint(plane).astype(np.uint16).reshape(-1) for plane in planes])
            frame = av.VideoFrame(rgb.shape[1], rgb.shape[0], "yuv420p10le")
            start = 0
            for plane in frame.planes:
                rows = flat[start : start + plane.width * plane.height].reshape(plane.height, plane.width)
                start += rows.size
                padded = np.zeros((plane.height, plane.line_size // 2), np.uint16)
                padded[:, : plane.width] = rows
                plane.update(padded.tobytes())
            frame.pts = number
            frame.colorspace, frame.color_range = 9, 1
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
