"""The project's own mp4 files: what is written is read back, and players can read it."""

import io

import av
import numpy as np
import pytest
from hummingbird.models.video import read_mp4, write_mp4


def frames() -> np.ndarray:
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    still = np.broadcast_to(ramp[None, :, None], (64, 64, 3))
    return np.stack([np.roll(still, 4 * i, axis=1) for i in range(6)])


def test_frames_and_rate_survive() -> None:
    file = io.BytesIO()
    write_mp4(frames(), 7.5, file)
    file.seek(0)
    decoded, rate = read_mp4(file)
    assert rate == 7.5
    assert decoded.shape == frames().shape
    assert np.abs(decoded.astype(int) - frames()).mean() < 6


def test_every_browser_can_play_it() -> None:
    file = io.BytesIO()
    write_mp4(frames(), 8, file)
    with av.open(io.BytesIO(file.getvalue())) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
    data = file.getvalue()
    assert data.index(b"moov") < data.index(b"mdat"), (
        "the index must come first, to play before the end is loaded"
    )


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((2, 64, 64), np.uint8), np.zeros((2, 64, 64, 3), np.float32), np.zeros((2, 63, 64, 3), np.uint8),
     np.zeros((0, 64, 64, 3), np.uint8)],
    ids=["no channels", "floats", "odd height", "no frames"],
)  # fmt: skip
def test_other_arrays_are_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="frames"):
        write_mp4(wrong, 8, io.BytesIO())
