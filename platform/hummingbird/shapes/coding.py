"""H.264 coding of drawn footage, to mp4 files and through memory.

On one thread, so that the same input gives the same bytes.
"""

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000  # hertz, of audio


def write_footage(
    target: Path | io.BytesIO, frames: NDArray[np.uint8], fps: int, crf: int, *, index_first: bool = False
) -> None:
    """Write ``frames``, uint8 RGB (T, H, W, 3) with even H and W, as an mp4 file of constant quality ``crf``.

    ``index_first`` puts the index before the pictures, so that a file cut off still opens.
    """
    options = {"movflags": "faststart"} if index_first else {}
    with av.open(
        target if isinstance(target, io.BytesIO) else str(target), "w", "mp4", options=options
    ) as file:
        stream = file.add_stream("libx264", rate=fps, options=_options(crf))
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
        for frame in frames:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        file.mux(stream.encode())


def recode(frames: NDArray[np.uint8], crf: int) -> NDArray[np.uint8]:
    """``frames`` (T, H, W, 3) after H.264 at ``crf`` and back."""
    memory = io.BytesIO()
    write_footage(memory, frames, 25, crf)
    memory.seek(0)
    with av.open(memory, "r") as file:
        pictures = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
    decoded = np.stack(pictures).astype(np.uint8)
    if decoded.shape != frames.shape:
        raise RuntimeError(f"H.264 gave {decoded.shape} back for frames {frames.shape}")
    return decoded


def write_tone(target: Path, seconds: float) -> None:
    """Write an mp4 file that holds sound (a 440 Hz tone) and no picture."""
    times = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    wave = (0.2 * np.sin(2 * np.pi * 440 * times)).astype(np.float32)
    with av.open(str(target), "w", "mp4") as file:
        stream = file.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
        sound = av.AudioFrame.from_ndarray(wave[None], format="fltp", layout="mono")
        sound.sample_rate, sound.time_base, sound.pts = SAMPLE_RATE, Fraction(1, SAMPLE_RATE), 0
        file.mux(stream.encode(sound))
        file.mux(stream.encode())


def _options(crf: int) -> dict[str, str]:
    # With its macroblock tree, libx264 gives other bytes from call to call.
    return {"crf": str(crf), "preset": "veryfast", "threads": "1", "x264-params": "mbtree=0"}
